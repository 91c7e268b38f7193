// The part of CastColumn that deals with lists. Nothing but cast.cc needs it.
#pragma once

#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "ingest/cast.h"

namespace fletching::ingest {

// list, large_list, their views and fixed_size_list.
bool IsListLike(const arrow::DataType& type);

// From any of those to list or fixed_size_list; values are cast by CastColumn. A list becomes a
// fixed-size list when each one that is not null has the right length.
// Errors: kSchemaMismatch naming the row, kTooLarge.
Result<std::shared_ptr<arrow::Array>> CastList(const std::shared_ptr<arrow::Array>& column,
                                               const std::shared_ptr<arrow::DataType>& target,
                                               const CastRules& rules);

}  // namespace fletching::ingest
