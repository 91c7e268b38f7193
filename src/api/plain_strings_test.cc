#include "api/plain_strings.h"

#include <random>

#include <gtest/gtest.h>

#include "api/json_request.h"

namespace fletching::api {
namespace {

struct Taken {
  size_t bytes = 0;
  std::vector<std::string> strings;
};

Taken Take(std::string_view rest) {
  std::string text = "before";
  std::vector<int32_t> ends = {6};
  Taken taken;
  taken.bytes = TakePlainStrings(rest, &text, &ends);
  for (size_t i = 1; i < ends.size(); ++i) {
    taken.strings.push_back(
        text.substr(static_cast<size_t>(ends[i - 1]), static_cast<size_t>(ends[i] - ends[i - 1])));
  }
  EXPECT_EQ(text.substr(0, 6), "before");
  EXPECT_EQ(text.size(), static_cast<size_t>(ends.back()));
  return taken;
}

TEST(PlainStrings, LeavesTheLastToTheParser) {
  const Taken taken = Take(R"( "a", "" ,"0123456789abcdef0123456789", "z"] )");
  EXPECT_EQ(taken.strings, (std::vector<std::string>{"a", "", "0123456789abcdef0123456789"}));
  EXPECT_EQ(taken.bytes, std::string_view(R"( "a", "" ,"0123456789abcdef0123456789", )").size());
}

TEST(PlainStrings, TakesNothingThatIsNotPlain) {
  for (const std::string_view rest :
       {"", "]", "\"", "\"a", "\"a\"", "\"a\"]", "\"a\",", "\"a\",]", "\"a\" \"b\"", "1,\"a\"",
        "null,\"a\"", R"("\u0041","b"])", R"("a\"","b"])", "\"\xC3\xA4\",\"b\"]", "\"a\tb\",\"b\"]",
        "\"a\x7F\",\"b\"]"}) {
    const Taken taken = Take(rest);
    EXPECT_EQ(taken.bytes, 0u) << rest;
    EXPECT_TRUE(taken.strings.empty()) << rest;
  }
}

// The whole parse with the shortcut, held against one where a leading escape keeps it away.
TEST(PlainStrings, AreWhatTheParserReads) {
  std::mt19937 random(7);
  const std::vector<std::string> pieces = {
      "a",   "[",    "]",       ",",        " ", "user:000012",      "{",
      "\\n", "\\\"", "\\u00e4", "\xC3\xA4", "'", "0123456789abcdef", ":"};
  for (int round = 0; round < 2000; ++round) {
    std::string list;
    const size_t count = random() % 40;
    for (size_t i = 0; i < count; ++i) {
      list += ",\"";
      for (size_t j = random() % 4; j > 0; --j) {
        // Mostly plain, so that the shortcut goes far.
        const size_t kinds = random() % 8 == 0 ? pieces.size() : 7;
        list += pieces[random() % kinds];
      }
      list += random() % 50 == 0 ? "" : "\"";
      if (random() % 8 == 0) list += " ";
    }
    const auto body = [&](const std::string& first) {
      return R"({"columns": ["c["], "keys": [)" + first + list + "]}";
    };
    const auto fast = ParseKeysRequest(body(R"("x")"), KeysBody::kFetch);
    const auto slow = ParseKeysRequest(body(R"("\u0078")"), KeysBody::kFetch);
    ASSERT_EQ(fast.ok(), slow.ok()) << list << fast.status() << slow.status();
    if (!fast.ok()) continue;
    EXPECT_EQ(fast->keys[0].text, slow->keys[0].text) << list;
    EXPECT_EQ(fast->keys[0].ends, slow->keys[0].ends) << list;
    EXPECT_EQ(fast->columns, slow->columns);
  }
}

// A bracket inside a string is no list, whatever stands behind it.
TEST(PlainStrings, StartOnlyWhereAListDoes) {
  EXPECT_FALSE(
      ParseKeysRequest(R"({"keys": ["\u0041["b","c"], "columns": []})", KeysBody::kFetch).ok());
  EXPECT_FALSE(ParseKeysRequest(R"({"keys": [["b","c"]], "columns": []})", KeysBody::kFetch).ok());
  EXPECT_FALSE(ParseKeysRequest(R"({"keys": ["a","b",], "columns": []})", KeysBody::kFetch).ok());
  const auto mixed = ParseKeysRequest(R"({"keys": ["a","b",1], "columns": []})", KeysBody::kFetch);
  ASSERT_FALSE(mixed.ok());
  EXPECT_EQ(mixed.status().message(), "keys[2] mixes strings and numbers");
  const auto broken = ParseKeysRequest(R"({"keys": ["a","b",x]})", KeysBody::kFetch);
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.status().message().substr(0, 26), "not valid JSON at byte 18:");
}

}  // namespace
}  // namespace fletching::api
