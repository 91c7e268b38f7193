// The rows of a query while they are made.
#pragma once

#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "duck/duck_database.h"

namespace fletching::duck {

// The table function that hands shared rows to a query, by their number.
inline constexpr char kRowsFunction[] = "fletching_rows";

class QueryStream {
 public:
  // Takes over `prepared`.
  static Result<std::shared_ptr<arrow::RecordBatchReader>> Run(
      std::shared_ptr<DuckConnection> connection, Prepared prepared);
};

// The message of an error of a conversion, which is let go; OK for none.
Status TakeError(const DuckApi& api, ErrorData error);

}  // namespace fletching::duck
