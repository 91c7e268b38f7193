#include "api/flight/put_command.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::flight {
namespace {

std::string WhyNot(std::string_view text) {
  const auto parsed = ParsePutCommand(text);
  return parsed.ok() ? "taken" : parsed.status().message();
}

TEST(PutCommand, SaysWhereAndHowToWrite) {
  const auto plain = ParsePutCommand(R"({"table": "docs"})");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ(plain->table, "docs");
  EXPECT_EQ(plain->mode, WriteMode::kReplace);
  EXPECT_TRUE(plain->ignore_extra_columns);
  const auto patch =
      ParsePutCommand(R"({"mode": "patch", "extra_columns": "error", "table": "docs"})");
  ASSERT_TRUE(patch.ok()) << patch.status();
  EXPECT_EQ(patch->mode, WriteMode::kPatch);
  EXPECT_FALSE(patch->ignore_extra_columns);
}

TEST(PutCommand, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(WhyNot(R"({"table": "t", "moed": "patch"})"),
            "member 'moed' of the command is not known");
  EXPECT_EQ(WhyNot(R"({"table": "t", "mode": "merge"})"),
            "mode is 'replace' or 'patch', not 'merge'");
  EXPECT_EQ(WhyNot(R"({"table": "t", "mode": true})"), "mode is 'replace' or 'patch', not ''");
  for (const char* text : {"", "[]", "3", "{}", R"({"table": null})", R"({"table": "t")"}) {
    EXPECT_NE(WhyNot(text), "taken") << text;
  }
}

}  // namespace
}  // namespace fletching::flight
