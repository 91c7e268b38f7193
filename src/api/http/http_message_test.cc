#include "api/http/http_message.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::http {
namespace {

TEST(HttpMessage, RendersErrorsAsJson) {
  const HttpResponse response = ErrorResponse(NotFound("table", "a\"b"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, kJsonType);
  EXPECT_EQ(response.text, R"({"error":"table 'a\"b' does not exist"})");
  ASSERT_EQ(response.headers.size(), 1u);
  EXPECT_EQ(response.headers[0].second, "not_found");
}

TEST(HttpMessage, AsksToTryAgainWhenBusy) {
  const HttpResponse response = ErrorResponse(Busy("x"));
  ASSERT_EQ(response.headers.size(), 2u);
  EXPECT_EQ(response.headers[0].first, "Retry-After");
}

TEST(HttpMessage, FindsTheMediaType) {
  EXPECT_EQ(MediaType("application/json"), "application/json");
  EXPECT_EQ(MediaType("Application/JSON ; charset=utf-8"), "application/json");
  EXPECT_EQ(MediaType(""), "");
}

TEST(HttpMessage, FindsTypesInAccept) {
  EXPECT_TRUE(Accepts("text/html, Application/Vnd.Apache.Arrow.Stream;q=0.9", kArrowType));
  EXPECT_FALSE(Accepts("*/*", kArrowType));
  EXPECT_FALSE(Accepts("", kArrowType));
}

TEST(HttpMessage, DecodesPercentSigns) {
  EXPECT_EQ(*PercentDecode("a%2Fb%2e%c3%A9+"), "a/b.\xC3\xA9+");
  EXPECT_EQ(*PercentDecode("a+b", true), "a b");
  for (const std::string_view bad : {"%", "%1", "%zz", "a%0", "%00", "%+1"}) {
    EXPECT_FALSE(PercentDecode(bad).ok()) << bad;
  }
}

TEST(HttpMessage, ParsesQueries) {
  const auto pairs = ParseQuery("mode=patch&&x&y=&a%3Db=c%26d");
  ASSERT_TRUE(pairs.ok());
  ASSERT_EQ(pairs->size(), 4u);
  EXPECT_EQ(pairs->at(0), (std::pair<std::string, std::string>("mode", "patch")));
  EXPECT_EQ(pairs->at(1), (std::pair<std::string, std::string>("x", "")));
  EXPECT_EQ(pairs->at(3), (std::pair<std::string, std::string>("a=b", "c&d")));
  EXPECT_FALSE(ParseQuery("a=%").ok());
}

}  // namespace
}  // namespace fletching::http
