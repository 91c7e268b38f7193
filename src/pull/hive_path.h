// Columns that stand in the names of folders: "country=at/day=2026-11-20/part-0.parquet".
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

namespace fletching::pull {

// Text by column; nullopt is a null (__HIVE_DEFAULT_PARTITION__).
using HiveValues = std::map<std::string, std::optional<std::string>, std::less<>>;

// Of the folders "name=value" of a file's path below the source; others do not count. Names and
// values are percent-decoded; a % that no two hex digits follow stays, as Hive has it.
// Errors: kInvalidArgument for a name that occurs twice with different values.
Result<HiveValues> ParseHivePath(const std::string& path_below);

// One value as the column's type: numbers as digits, bools as true and false, dates and times as
// ISO 8601, text and bytes as they are. Errors: kSchemaMismatch naming column and value.
Result<std::shared_ptr<arrow::Scalar>> HiveScalar(const ColumnSchema& column,
                                                  const std::optional<std::string>& text);

}  // namespace fletching::pull
