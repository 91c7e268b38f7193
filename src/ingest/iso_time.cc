#include "ingest/iso_time.h"

#include <string>

#include "arrow/type.h"
#include "arrow/util/checked_cast.h"
#include "arrow/util/value_parsing.h"

namespace fletching::ingest {
namespace {

using arrow::internal::checked_cast;

constexpr int64_t kSecondsPerDay = 24 * 60 * 60;
constexpr size_t kDateBytes = 10;  // 2013-01-31

int64_t UnitsPerSecond(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    default:
      return 1'000'000'000;
  }
}

// Many writers always print milliseconds or more; ".000" fits a column of seconds.
std::string WithoutTrailingZeros(std::string_view text) {
  const size_t point = text.find('.');
  if (point == std::string_view::npos) return std::string(text);
  size_t end = point + 1;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  size_t keep = end;
  while (text[keep - 1] == '0') --keep;
  if (keep == point + 1 && end > keep) keep = point;  // ".000" goes, a lone "." stays wrong
  return std::string(text.substr(0, keep)).append(text.substr(end));
}

bool ParseTimestamp(const std::string& text, const arrow::TimestampType& type, int64_t* value) {
  bool has_offset = false;
  if (!arrow::internal::ParseTimestampISO8601(text.data(), text.size(), type.unit(), value,
                                              &has_offset)) {
    return false;
  }
  return !has_offset || !type.timezone().empty();
}

template <typename TimeType>
bool ParseTime(const std::string& text, const TimeType& type, int64_t* value) {
  typename TimeType::c_type units = 0;
  if (!arrow::internal::ParseValue<TimeType>(type, text.data(), text.size(), &units)) return false;
  *value = units;
  return true;
}

bool ParseDate(const std::string& text, int64_t* value) {
  int64_t seconds = 0;
  if (text.size() != kDateBytes ||
      !arrow::internal::ParseTimestampISO8601(text.data(), text.size(), arrow::TimeUnit::SECOND,
                                              &seconds)) {
    return false;
  }
  *value = seconds / kSecondsPerDay;  // exact
  return true;
}

bool Parse(const std::string& text, const arrow::DataType& type, int64_t* value) {
  switch (type.id()) {
    case arrow::Type::DATE32:
      return ParseDate(text, value);
    case arrow::Type::TIME32:
      return ParseTime(text, checked_cast<const arrow::Time32Type&>(type), value);
    case arrow::Type::TIME64:
      return ParseTime(text, checked_cast<const arrow::Time64Type&>(type), value);
    case arrow::Type::TIMESTAMP:
      return ParseTimestamp(text, checked_cast<const arrow::TimestampType&>(type), value);
    default:
      return false;
  }
}

}  // namespace

std::optional<int64_t> ParseIsoTime(std::string_view text, const arrow::DataType& type) {
  constexpr size_t kTextBytesMax = 40;
  int64_t value = 0;
  if (text.size() > kTextBytesMax || !Parse(WithoutTrailingZeros(text), type, &value)) {
    return std::nullopt;
  }
  return value;
}

bool IsInRange(int64_t value, const arrow::DataType& type) {
  if (type.id() != arrow::Type::TIME32 && type.id() != arrow::Type::TIME64) return true;
  const auto unit = checked_cast<const arrow::TimeType&>(type).unit();
  return value >= 0 && value < kSecondsPerDay * UnitsPerSecond(unit);
}

}  // namespace fletching::ingest
