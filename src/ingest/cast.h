// Turns a column from outside into exactly the type the schema names, or says why not.
// Stage: check (of a write) and parse (of keys). Holds no state.
#pragma once

#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::ingest {

// Taken without loss: equal types; everything IsWidening admits; large_utf8 / string_view / binary
// counterparts; dictionaries of any of these; date64 -> date32 when whole days; large_list and
// list_view -> list; timestamps and times of another unit when no value loses digits.
// With allow_float_narrowing: float64 -> float32 rounds (out of range becomes infinity).
// With allow_int_narrowing: integers to narrower ones when every value fits (Python int lists).
// Errors: kSchemaMismatch "int64 column where the schema says float32; cast it first" (the caller
// adds the column's name). Threads: any.
struct CastRules {
  bool allow_float_narrowing = false;
  bool allow_int_narrowing = false;
};
Result<std::shared_ptr<arrow::Array>> CastColumn(const std::shared_ptr<arrow::Array>& column,
                                                 const std::shared_ptr<arrow::DataType>& target,
                                                 const CastRules& rules);

// Full Arrow validation of bytes from outside: lying offsets, broken UTF-8, dictionary indices.
// After OK every value may be touched. Errors: kInvalidArgument naming the column.
Status ValidateBatch(const arrow::RecordBatch& batch);
Status ValidateColumn(const arrow::Array& column);

}  // namespace fletching::ingest
