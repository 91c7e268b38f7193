#include "api/unit_text.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::api {
namespace {

TEST(UnitText, ReadsDurations) {
  EXPECT_EQ(*ParseDurationMs("30d"), int64_t{30} * 86'400'000);
  EXPECT_EQ(*ParseDurationMs("2w"), int64_t{14} * 86'400'000);
  EXPECT_EQ(*ParseDurationMs("1h30m"), 5'400'000);
  EXPECT_EQ(*ParseDurationMs("250ms"), 250);
  EXPECT_EQ(*ParseDurationMs("250"), 250);
  EXPECT_EQ(*ParseDurationMs("0s"), 0);
  for (const std::string_view text : {"", "d", "-1d", "1x", "1.5h", "1d2", "99999999999999999999d",
                                      "9223372036854775807w", "1 d", "+5s"}) {
    EXPECT_FALSE(ParseDurationMs(text).ok()) << text;
  }
}

TEST(UnitText, WritesDurationsThatReadBack) {
  EXPECT_EQ(FormatDurationMs(int64_t{30} * 86'400'000), "30d");
  EXPECT_EQ(FormatDurationMs(5'400'000), "90m");
  EXPECT_EQ(FormatDurationMs(1'500), "1500ms");
  EXPECT_EQ(FormatDurationMs(0), "0ms");
  for (const int64_t ms : {int64_t{1}, int64_t{1000}, int64_t{86'400'001}, INT64_MAX}) {
    EXPECT_EQ(*ParseDurationMs(FormatDurationMs(ms)), ms);
  }
}

TEST(UnitText, ReadsSizes) {
  EXPECT_EQ(*ParseBytes("8MiB"), 8 << 20);
  EXPECT_EQ(*ParseBytes("8M"), 8 << 20);
  EXPECT_EQ(*ParseBytes("2 GiB"), int64_t{2} << 30);
  EXPECT_EQ(*ParseBytes("12"), 12);
  EXPECT_EQ(*ParseBytes("12B"), 12);
  for (const std::string_view text : {"", "MiB", "-1", "8MB!", "8mib", "99999999TiB", "1.5G"}) {
    EXPECT_FALSE(ParseBytes(text).ok()) << text;
  }
}

TEST(UnitText, WritesSizes) {
  EXPECT_EQ(FormatBytes(int64_t{2} << 30), "2 GiB");
  EXPECT_EQ(FormatBytes(1536), "1536 bytes");
  EXPECT_EQ(*ParseBytes(FormatBytes(64 << 20)), 64 << 20);
}

}  // namespace
}  // namespace fletching::api
