#include "base/bytes.h"

#include <array>

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/clock.h"

namespace fletching {
namespace {

TEST(Bytes, LoadsBackWhatWasStoredAtAnOddAddress) {
  std::array<uint8_t, 16> place{};
  StoreAs<uint64_t>(place.data() + 3, 0x0102030405060708u);
  EXPECT_EQ(LoadAs<uint64_t>(place.data() + 3), 0x0102030405060708u);
  EXPECT_EQ(place[3], 8);  // little-endian
}

TEST(Bytes, RoundsUpToAnAlignment) {
  EXPECT_EQ(RoundUp(0, 64), 0u);
  EXPECT_EQ(RoundUp(1, 64), 64u);
  EXPECT_EQ(RoundUp(64, 64), 64u);
  EXPECT_EQ(RoundUp(65, 64), 128u);
}

TEST(Bytes, SetsAndClearsBitsFromTheLowestOn) {
  std::array<uint8_t, 2> bits{};
  SetBit(bits.data(), 9);
  EXPECT_EQ(bits[1], 2);
  EXPECT_TRUE(GetBit(bits.data(), 9));
  EXPECT_FALSE(GetBit(bits.data(), 8));
  ClearBit(bits.data(), 9);
  EXPECT_EQ(bits[1], 0);
}

TEST(Check, StopsTheProcessAndSaysWhatWasBelieved) {
  const int two = 2;
  FLETCHING_CHECK(two == 2);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(FLETCHING_CHECK(two == 3), "two == 3");
}

TEST(SystemClock, IsPastTheYear2020) {
  EXPECT_GT(SystemClock()->NowMicros(), int64_t{1577836800} * 1'000'000);
}

}  // namespace
}  // namespace fletching
