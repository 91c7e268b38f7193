// What a table looks like: names, types and the role of every column.
//
// Plain data. Types are Arrow's, limited to those that CheckType admits. Does no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching {

struct ColumnSchema {
  std::string name;
  std::shared_ptr<arrow::DataType> type;
  bool nullable = true;  // key columns are never null
  // float64 -> float32 on write is refused when true (contracts of Murr 0.3); widening always
  // works.
  bool strict = true;
  // Given by the engine at creation and never used again, so that a dropped and re-added name is a
  // new column. Zero before.
  uint32_t id = 0;
};

struct TableSchema {
  std::vector<ColumnSchema> columns = {};  // in declared order, key columns among them
  std::vector<std::string> key = {};       // names of the key columns, in key order; at least one
  // Name of a timestamp column, or empty: then the order of commits decides which row wins.
  std::string event_time = {};
  int64_t ttl_ms = 0;  // 0 = rows never expire; counted from event time, else from commit time
  // Uninterpreted by the engine; doors keep their dialect here (for example how it was created).
  std::map<std::string, std::string> metadata = {};

  // nullptr when there is no such column. Lifetime: that of this schema.
  const ColumnSchema* Find(std::string_view name) const;
  bool IsKey(std::string_view name) const;
  std::vector<std::string> ValueColumnNames() const;  // every column that is not a key
};

// Text of a type as it stands in JSON schemas: "utf8", "int32", "float32", "bool", "date32",
// "time64[us]", "timestamp[us]", "timestamp[us, UTC]", "binary", "list<utf8>",
// "fixed_size_list<float32>[128]".
std::string TypeName(const arrow::DataType& type);

// The inverse. Also takes "date", "time", "timestamp", "string", "float", "double".
// Errors: kInvalidArgument, with the list of names and the nearest one.
Result<std::shared_ptr<arrow::DataType>> ParseTypeName(std::string_view name);

// Errors: kUnsupported when a column of this type cannot be stored.
Status CheckType(const arrow::DataType& type);
// Key types: utf8, binary, all integers, date32, timestamp.
Status CheckKeyType(const arrow::DataType& type);

// Tables and columns: a letter, digit or '_' first, then [A-Za-z0-9_.-], at most 128 bytes.
// `kind` is the word used in the error: "table", "column".
Status CheckName(std::string_view kind, std::string_view name);

// Whole-schema check: names legal and unique, key present, key types, event_time is a timestamp.
// Errors: kInvalidArgument naming the column.
Status CheckSchema(const TableSchema& schema);

// Whether a stored column of type `from` may be read as `to` without loss: equal types, integers
// to wider ones, float16/32 to wider floats, ints up to 16 bit to float32, up to 32 bit to float64.
bool IsWidening(const arrow::DataType& from, const arrow::DataType& to);

}  // namespace fletching
