#include "api/json_tree.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::api {
namespace {

TEST(JsonTree, KeepsOrderAndKinds) {
  const auto root =
      ParseJson(R"({"b": [1, -2, 18446744073709551615, 1.5, "x\n\u00e9", true, null], "a": {}})");
  ASSERT_TRUE(root.ok()) << root.status();
  ASSERT_EQ(root->names, (std::vector<std::string>{"b", "a"}));
  const JsonNode& list = *root->Find("b");
  EXPECT_EQ(list.items[0].integer, 1);
  EXPECT_EQ(list.items[1].integer, -2);
  EXPECT_EQ(list.items[2].kind, JsonNode::Kind::kUint);
  EXPECT_EQ(static_cast<uint64_t>(list.items[2].integer), UINT64_MAX);
  EXPECT_EQ(list.items[3].number, 1.5);
  EXPECT_EQ(list.items[4].text, "x\n\xC3\xA9");
  EXPECT_TRUE(list.items[5].boolean);
  EXPECT_EQ(list.items[6].kind, JsonNode::Kind::kNull);
  EXPECT_EQ(root->Find("c"), nullptr);
  EXPECT_TRUE(root->Find("a")->Is(JsonNode::Kind::kObject));
}

TEST(JsonTree, RefusesANameTwice) {
  const auto root = ParseJson(R"({"a": 1, "b": {"a": 2, "a": 3}})");
  ASSERT_FALSE(root.ok());
  EXPECT_EQ(root.status().message(), "member 'a' occurs twice");
  EXPECT_TRUE(ParseJson(R"({"a": {"a": 1}, "b": {"a": 1}})").ok());
}

TEST(JsonTree, RefusesWhatIsNoJson) {
  for (const std::string_view text :
       {"", " ", "{", "[1,]", "{\"a\":1} x", "nul", "01", "\"\xff\"", "{'a': 1}", "[1] [2]", "NaN",
        "1e", "\"\\ud800\"", "{\"a\" 1}"}) {
    const auto root = ParseJson(text);
    EXPECT_FALSE(root.ok()) << text;
    EXPECT_EQ(root.status().message().rfind("not valid JSON at byte ", 0), 0u) << root.status();
  }
}

TEST(JsonTree, RefusesDeepNesting) {
  EXPECT_TRUE(ParseJson(std::string(20, '[') + std::string(20, ']')).ok());
  EXPECT_FALSE(ParseJson(std::string(100'000, '[')).ok());
  EXPECT_FALSE(ParseJson(std::string(40, '[') + std::string(40, ']')).ok());
}

TEST(JsonTree, ReadsManyMembersInLinearTime) {
  std::string text = "{\"m0\": 0";
  for (int i = 1; i < 200'000; ++i) text += ", \"m" + std::to_string(i) + "\": 0";
  EXPECT_TRUE(ParseJson(text + "}").ok());
}

}  // namespace
}  // namespace fletching::api
