// Dates and times as ISO 8601 text, which ingest::ParseJsonColumns reads back bit for bit.
#pragma once

#include <cstdint>
#include <string>

#include "arrow/type_fwd.h"

namespace fletching::api {

// "2024-02-29". False, and nothing appended, when the year is outside 0000-9999: such values are
// written as whole numbers in the column's unit instead.
bool AppendDate(std::string* out, int64_t days);

// "23:59:59", with as many digits of a second as the unit has. False outside one day.
bool AppendTimeOfDay(std::string* out, int64_t value, arrow::TimeUnit::type unit);

// "2024-02-29T23:59:59.123456", with a final Z when `utc`. False as for dates.
bool AppendTimestamp(std::string* out, int64_t value, arrow::TimeUnit::type unit, bool utc);

}  // namespace fletching::api
