// A table's schema as Arrow shows it over Flight.
#pragma once

#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"

namespace fletching::flight {

// Columns in declared order, with their declared nullability. Metadata "key": the name of the key
// column, or a JSON list of names when there are several.
std::shared_ptr<arrow::Schema> ArrowSchemaOf(const TableSchema& schema);

}  // namespace fletching::flight
