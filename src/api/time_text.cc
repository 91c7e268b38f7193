#include "api/time_text.h"

#include <chrono>

namespace fletching::api {
namespace {

constexpr int64_t kSecondsPerDay = 86'400;
constexpr int64_t kDaysOfYear0 = -719'528;  // 0000-01-01
constexpr int64_t kDaysOfYear10000 = 2'932'897;

struct UnitScale {
  int64_t per_second;
  int digits;
};

UnitScale ScaleOf(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return {1, 0};
    case arrow::TimeUnit::MILLI:
      return {1'000, 3};
    case arrow::TimeUnit::MICRO:
      return {1'000'000, 6};
    case arrow::TimeUnit::NANO:
      break;
  }
  return {1'000'000'000, 9};
}

void AppendDigits(std::string* out, int64_t value, int digits) {
  char text[20];
  for (int i = digits - 1; i >= 0; --i) {
    text[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  out->append(text, static_cast<size_t>(digits));
}

void AppendClock(std::string* out, int64_t of_day, UnitScale scale) {
  const int64_t seconds = of_day / scale.per_second;
  AppendDigits(out, seconds / 3600, 2);
  out->push_back(':');
  AppendDigits(out, seconds / 60 % 60, 2);
  out->push_back(':');
  AppendDigits(out, seconds % 60, 2);
  if (scale.digits == 0) return;
  out->push_back('.');
  AppendDigits(out, of_day % scale.per_second, scale.digits);
}

}  // namespace

bool AppendDate(std::string* out, int64_t days) {
  if (days < kDaysOfYear0 || days >= kDaysOfYear10000) return false;
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int32_t>(days)}}};
  AppendDigits(out, static_cast<int>(date.year()), 4);
  out->push_back('-');
  AppendDigits(out, static_cast<unsigned>(date.month()), 2);
  out->push_back('-');
  AppendDigits(out, static_cast<unsigned>(date.day()), 2);
  return true;
}

bool AppendTimeOfDay(std::string* out, int64_t value, arrow::TimeUnit::type unit) {
  const UnitScale scale = ScaleOf(unit);
  if (value < 0 || value >= kSecondsPerDay * scale.per_second) return false;
  AppendClock(out, value, scale);
  return true;
}

bool AppendTimestamp(std::string* out, int64_t value, arrow::TimeUnit::type unit, bool utc) {
  const UnitScale scale = ScaleOf(unit);
  // In the earliest second of all, readers that count from the second's start would overflow.
  if (value < INT64_MIN + scale.per_second) return false;
  const int64_t per_day = kSecondsPerDay * scale.per_second;
  int64_t days = value / per_day;
  int64_t of_day = value % per_day;
  if (of_day < 0) {  // before 1970: the day begins earlier
    of_day += per_day;
    --days;
  }
  if (!AppendDate(out, days)) return false;
  out->push_back('T');
  AppendClock(out, of_day, scale);
  if (utc) out->push_back('Z');
  return true;
}

}  // namespace fletching::api
