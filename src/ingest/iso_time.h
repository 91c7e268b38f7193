// Dates, times and timestamps as ISO 8601 text.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "arrow/type_fwd.h"

namespace fletching::ingest {

// The value of a date32, time32, time64 or timestamp column, in the column's unit; nullopt when the
// text is not one.
//   date32     2013-01-31
//   time       23:59, 23:59:59, 23:59:59.123456789
//   timestamp  2013-01-31, then T or a space and a time, then Z or an offset (+02:00, +0200, +02).
//              With a zone in the type, text without an offset is UTC; without one, an offset is
//              refused, because the column could not keep it.
// Digits below the unit would be lost and are refused, unless they are zeros.
std::optional<int64_t> ParseIsoTime(std::string_view text, const arrow::DataType& type);

// Whether an integer may stand in such a column: times lie within one day.
bool IsInRange(int64_t value, const arrow::DataType& type);

}  // namespace fletching::ingest
