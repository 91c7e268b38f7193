#include "api/http/listener.h"

#include <unistd.h>

#include <gtest/gtest.h>

namespace fletching::http {
namespace {

TEST(Listener, ReadsAddresses) {
  const auto check = [](std::string_view text, std::string_view host, uint16_t port) {
    const auto parsed = ParseHostPort(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
  };
  check("127.0.0.1:8080", "127.0.0.1", 8080);
  check("[::1]:0", "::1", 0);
  check("localhost:65535", "localhost", 65535);
  check(":80", "127.0.0.1", 80);
  for (const std::string_view bad :
       {"", "8080", "host", "host:", "host:x", "host:65536", "host:-1", "host:80x", "host: 80"}) {
    EXPECT_FALSE(ParseHostPort(bad).ok()) << bad;
  }
}

TEST(Listener, TakesAFreePortAndNamesIt) {
  const auto listener = Listen("127.0.0.1", 0);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const auto address = ParseHostPort(listener->address);
  ASSERT_TRUE(address.ok());
  EXPECT_NE(address->port, 0);

  const auto again = Listen("127.0.0.1", address->port);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(CodeOf(again.status()), ErrorCode::kUnavailable);
  EXPECT_NE(again.status().message().find("Another program has this port"), std::string::npos);
  close(listener->socket);
}

TEST(Listener, SaysWhenThereIsNoSuchAddress) {
  EXPECT_EQ(CodeOf(Listen("192.0.2.1", 0).status()), ErrorCode::kUnavailable);
  EXPECT_EQ(CodeOf(Listen("not a host", 0).status()), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fletching::http
