#include "server/security.h"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "server/config.h"

namespace fletching::server {
namespace {

TEST(Security, TellsTheLoopbackFromEverythingElse) {
  for (const char* host : {"127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"}) {
    EXPECT_FALSE(IsReachable(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1"}) {
    EXPECT_TRUE(IsReachable(host)) << host;
  }
}

TEST(Security, RefusesEveryDoorThatIsOpenToOthers) {
  EXPECT_TRUE(CheckExposure({}).ok());
  const auto expect_refused = [](ServerConfig config, const std::string& door) {
    const Status status = CheckExposure(config);
    ASSERT_FALSE(status.ok()) << door;
    for (const std::string& part : {door, std::string("--keys-file"), std::string("--insecure")}) {
      EXPECT_NE(status.message().find(part), std::string::npos) << status;
    }
    config.security.insecure = true;
    EXPECT_TRUE(CheckExposure(config).ok());
    config.security = {.keys_file = "keys"};
    EXPECT_TRUE(CheckExposure(config).ok());
  };
  ServerConfig http;
  http.http.host = "0.0.0.0";
  expect_refused(http, "HTTP on 0.0.0.0");
  ServerConfig flight;
  flight.flight.host = "::";
  expect_refused(flight, "Flight on ::");
  flight.flight_on = false;
  EXPECT_TRUE(CheckExposure(flight).ok()) << "it is not opened";
  ServerConfig metrics;
  metrics.metrics.host = "10.1.2.3";
  expect_refused(metrics, "metrics on 10.1.2.3");
}

Result<LoadedConfig> Load(const std::vector<std::string_view>& arguments,
                          const std::vector<std::string_view>& environment = {}) {
  return LoadConfig(arguments, environment);
}

TEST(Security, HasShortFlagsAndLongVariables) {
  const auto flags =
      Load({"--insecure", "--keys-file", "/k", "--tls-cert", "/c", "--tls-key", "/p"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_TRUE(flags->config.security.insecure) << "without a word it means true";
  EXPECT_EQ(flags->config.security.keys_file, "/k");
  EXPECT_EQ(flags->config.security.tls_certificate, "/c");
  EXPECT_EQ(flags->config.security.tls_key, "/p");
  const std::vector<std::string_view> environment = {
      "FLETCHING_SECURITY_INSECURE=true", "FLETCHING_SECURITY_KEYS_FILE=/k",
      "FLETCHING_SECURITY_TLS_CERT=/c", "FLETCHING_SECURITY_TLS_KEY=/p",
      "FLETCHING_API_KEY=flk_secret"};
  const auto variables = Load({}, environment);
  ASSERT_TRUE(variables.ok()) << variables.status();
  EXPECT_TRUE(variables->warnings.empty()) << "the key of a client is none of our settings";
  EXPECT_EQ(variables->config.security.keys_file, "/k");
  EXPECT_EQ(variables->config.security.tls_key, "/p");
  const auto undone = Load({"--insecure", "false", "--keys-file", "none"}, environment);
  EXPECT_FALSE(undone->config.security.insecure);
  EXPECT_EQ(undone->config.security.keys_file, "");
  EXPECT_FALSE(Load({"--insecure", "maybe"}).ok());
  EXPECT_FALSE(Load({"--keys-file"}).ok());
}

}  // namespace
}  // namespace fletching::server
