#include "api/time_text.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::api {
namespace {

using Unit = arrow::TimeUnit;

std::string Stamp(int64_t value, Unit::type unit, bool utc = false) {
  std::string out;
  return AppendTimestamp(&out, value, unit, utc) ? out : "number" + out;
}
std::string Clock(int64_t value, Unit::type unit) {
  std::string out;
  return AppendTimeOfDay(&out, value, unit) ? out : "number" + out;
}
std::string Date(int64_t days) {
  std::string out;
  return AppendDate(&out, days) ? out : "number" + out;
}

TEST(TimeText, WritesTimestampsOfEveryUnit) {
  EXPECT_EQ(Stamp(0, Unit::SECOND), "1970-01-01T00:00:00");
  EXPECT_EQ(Stamp(-1, Unit::SECOND), "1969-12-31T23:59:59");
  EXPECT_EQ(Stamp(1709251199123, Unit::MILLI, true), "2024-02-29T23:59:59.123Z");
  EXPECT_EQ(Stamp(-1, Unit::MICRO), "1969-12-31T23:59:59.999999");
  EXPECT_EQ(Stamp(1, Unit::NANO, true), "1970-01-01T00:00:00.000000001Z");
  EXPECT_EQ(Stamp(INT64_MIN + 1'000'000'000, Unit::NANO), "1677-09-21T00:12:44.145224192");
}

TEST(TimeText, WritesNumbersWhereAYearHasNoFourDigits) {
  EXPECT_EQ(Stamp(INT64_MAX, Unit::SECOND), "number");
  EXPECT_EQ(Stamp(INT64_MIN, Unit::SECOND), "number");
  EXPECT_EQ(Stamp(INT64_MIN, Unit::MICRO), "number");
  EXPECT_EQ(Stamp(INT64_MIN, Unit::NANO), "number");
  EXPECT_EQ(Date(INT32_MAX), "number");
  EXPECT_EQ(Date(-719528), "0000-01-01");
  EXPECT_EQ(Date(-719529), "number");
  EXPECT_EQ(Date(2932896), "9999-12-31");
  EXPECT_EQ(Date(2932897), "number");
}

TEST(TimeText, WritesTimesOfDay) {
  EXPECT_EQ(Clock(86'399, Unit::SECOND), "23:59:59");
  EXPECT_EQ(Clock(1, Unit::MILLI), "00:00:00.001");
  EXPECT_EQ(Clock(3'600'000'001, Unit::MICRO), "01:00:00.000001");
  EXPECT_EQ(Clock(0, Unit::NANO), "00:00:00.000000000");
  EXPECT_EQ(Clock(86'400, Unit::SECOND), "number");
  EXPECT_EQ(Clock(-1, Unit::SECOND), "number");
}

}  // namespace
}  // namespace fletching::api
