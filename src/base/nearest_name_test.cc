#include "base/nearest_name.h"

#include <array>

#include <gtest/gtest.h>

namespace fletching {
namespace {

constexpr std::array<std::string_view, 4> kKnown = {"float32", "float64", "utf8", "data_dir"};

TEST(NearestName, FindsANameWithOneMistake) {
  EXPECT_EQ(NearestName("flaot32", kKnown), "float32");
  EXPECT_EQ(NearestName("Float64", kKnown), "float64");
  EXPECT_EQ(NearestName("datadir", kKnown), "data_dir");
}

TEST(NearestName, IsSilentWhenNothingIsClose) {
  EXPECT_EQ(NearestName("complicated", kKnown), "");
  EXPECT_EQ(NearestName(std::string(1'000'000, 'f'), kKnown), "");
  EXPECT_EQ(DidYouMean("complicated", kKnown), "");
}

TEST(NearestName, ReadsWellAtTheEndOfAMessage) {
  EXPECT_EQ(DidYouMean("utf_8", kKnown), " (did you mean 'utf8'?)");
}

}  // namespace
}  // namespace fletching
