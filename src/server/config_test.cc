#include "server/config.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "server/settings.h"

namespace fletching::server {
namespace {

std::string File(const std::string& text) {
  static int count = 0;
  const std::string path = testing::TempDir() + "/config" + std::to_string(count++) + ".yaml";
  std::ofstream(path) << text;
  return path;
}

Result<LoadedConfig> Load(const std::vector<std::string>& arguments,
                          const std::vector<std::string>& environment = {}) {
  const std::vector<std::string_view> args(arguments.begin(), arguments.end());
  const std::vector<std::string_view> env(environment.begin(), environment.end());
  return LoadConfig(args, env);
}

std::string WhyNot(const std::vector<std::string>& arguments,
                   const std::vector<std::string>& environment = {}) {
  const auto loaded = Load(arguments, environment);
  return loaded.ok() ? "taken" : loaded.status().message();
}

TEST(Config, IsLoopbackByDefault) {
  const auto loaded = Load({});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->config.http.host, "127.0.0.1");
  EXPECT_EQ(loaded->config.http.port, 8080);
  EXPECT_GE(loaded->config.http.limits.data_bytes_max, int64_t{1} << 30);
}

TEST(Config, FlagsWinOverTheEnvironmentAndThatOverTheFile) {
  const std::string file = File(
      "data_dir: /file\nhttp:\n  listen: 0.0.0.0:1\nlimits:\n  body: 3GiB\n  header_time: 5s\n");
  auto loaded = Load({"--config", file});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.data_dir, "/file");
  EXPECT_EQ(loaded->config.http.port, 1);
  EXPECT_EQ(loaded->config.http.limits.data_bytes_max, int64_t{3} << 30);
  EXPECT_EQ(loaded->config.http.limits.header_ms_max, 5000);

  const std::vector<std::string> environment = {
      "FLETCHING_CONFIG=" + file, "FLETCHING_DATA_DIR=/env", "FLETCHING_HTTP=[::1]:2", "HOME=/x"};
  loaded = Load({"--http", "127.0.0.1:3"}, environment);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.data_dir, "/env");
  EXPECT_EQ(loaded->config.http.host, "127.0.0.1");
  EXPECT_EQ(loaded->config.http.port, 3);
  EXPECT_EQ(loaded->config.http.limits.data_bytes_max, int64_t{3} << 30);
  EXPECT_TRUE(loaded->warnings.empty());
}

TEST(Config, EverySettingIsTakenFromAllThreePlaces) {
  for (const Setting& setting : Settings()) {
    ServerConfig defaults;
    std::string value = setting.show(defaults);
    if (setting.value == "SIZE") value = "123KiB";
    if (setting.value == "TIME") value = "123ms";
    if (setting.value == "N") value = "123";
    const std::string path(setting.path);
    const size_t dot = path.find('.');
    const std::string yaml =
        dot == std::string::npos
            ? path + ": " + value + "\n"
            : path.substr(0, dot) + ":\n  " + path.substr(dot + 1) + ": " + value + "\n";
    auto from_file = Load({"--config", File(yaml)});
    auto from_environment = Load({}, {VariableOf(setting) + "=" + value});
    auto from_flag = Load({FlagOf(setting), value});
    ASSERT_TRUE(from_file.ok()) << yaml << from_file.status();
    ASSERT_TRUE(from_environment.ok()) << from_environment.status();
    ASSERT_TRUE(from_flag.ok()) << from_flag.status();
    const std::string shown = setting.show(from_file->config);
    EXPECT_EQ(setting.show(from_environment->config), shown) << path;
    EXPECT_EQ(setting.show(from_flag->config), shown) << path;
    const bool exact = setting.value == "N" || setting.value == "TIME";
    EXPECT_TRUE(!exact || shown == value) << shown;
    EXPECT_NE(Load({"--help"})->answer.find(FlagOf(setting)), std::string::npos);
  }
}

TEST(Config, SuggestsWhatWasMeant) {
  EXPECT_EQ(WhyNot({"--data_dir", "x"}),
            "flag --data_dir is not known (did you mean '--data-dir'?); see fletchingd --help");
  EXPECT_EQ(WhyNot({"serve"}), "argument 'serve' is not known; see fletchingd --help");
  const std::string file = File("data_dir: x\nlimits:\n  bodi: 1GiB\n");
  EXPECT_EQ(WhyNot({"--config", file}),
            file + ":3: setting 'limits.bodi' is not known (did you mean 'limits.body'?)");
  const auto loaded = Load({}, {"FLETCHING_DATADIR=x"});
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded->warnings.size(), 1u);
  EXPECT_EQ(loaded->warnings[0],
            "environment variable FLETCHING_DATADIR is not known (did you mean "
            "'FLETCHING_DATA_DIR'?)");
  // For the reader of Iceberg tables; not a setting.
  EXPECT_TRUE(Load({}, {"FLETCHING_PYTHON=/usr/bin/python3"})->warnings.empty());
}

TEST(Config, NamesTheFileAndLineThatIsWrong) {
  const auto expect = [](const std::string& text, const std::string& words) {
    const std::string why = WhyNot({"--config", File(text)});
    EXPECT_NE(why.find(words), std::string::npos) << why;
  };
  expect("limits:\n  body: lots\n", ":2: limits.body: 'lots' does not start with a whole number");
  expect("data_dir: [a, b]\n", ":1: 'data_dir' must be a single value");
  expect("data_dir: a\ndata_dir: b\n", ":2: 'data_dir' is given twice");
  expect("- a\n", ":1: the file must hold");
  expect("a: b: c\n", ":1: ");
  expect("log:\n  level: inof\n", "did you mean 'info'?");
  EXPECT_NE(WhyNot({"--config", "/no/such/file"}).find("'/no/such/file': No such file"),
            std::string::npos);
  EXPECT_TRUE(Load({"--config", File("# nothing\n")}).ok());
  EXPECT_TRUE(Load({"--config", File("limits:\n")}).ok());
}

TEST(Config, NamesTheFlagOrVariableThatIsWrong) {
  EXPECT_EQ(WhyNot({"--http", "nowhere"}),
            "--http: 'nowhere' is not HOST:PORT, such as 127.0.0.1:8080");
  EXPECT_EQ(WhyNot({}, {"FLETCHING_LIMITS_REQUESTS=0"}),
            "FLETCHING_LIMITS_REQUESTS: '0' is no whole number from 1 to 1000000");
  EXPECT_EQ(WhyNot({"--limits-body", "0"}), "--limits-body: 0 would refuse everything");
  EXPECT_NE(WhyNot({"--http"}), "taken");
  EXPECT_NE(WhyNot({"--http", "a:1", "--http", "b:2"}), "taken");
}

TEST(Config, MetricsTakeAPortOrAnAddressAndAreOffByDefault) {
  EXPECT_EQ(Load({})->config.metrics.host, "");
  const std::string file = File("metrics:\n  prometheus_port: 9090\n");
  EXPECT_EQ(Load({"--config", file})->config.metrics.host, "127.0.0.1");
  EXPECT_EQ(Load({"--config", file})->config.metrics.port, 9090);
  EXPECT_EQ(Load({"--config", file, "--metrics", "off"})->config.metrics.host, "");
  EXPECT_EQ(Load({"--metrics", ":9091"})->config.metrics.host, "127.0.0.1");
  EXPECT_EQ(Load({}, {"FLETCHING_METRICS=0.0.0.0:1"})->config.metrics.host, "0.0.0.0");
  EXPECT_EQ(WhyNot({"--metrics", "many"}), "--metrics: 'many' is no port; ports are 0 to 65535");
}

TEST(Config, AnswersHelpAndVersion) {
  EXPECT_NE(Load({"--help"})->answer.find("fletchingd --data-dir"), std::string::npos);
  EXPECT_EQ(Load({"--version"})->answer.rfind("fletchingd ", 0), 0u);
}

}  // namespace
}  // namespace fletching::server
