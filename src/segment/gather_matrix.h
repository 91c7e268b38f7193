// Copies packed columns of numbers straight out of rows into a matrix. Stage: gather.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "fletching/schema.h"
#include "fletching/status.h"

#include "base/matrix.h"
#include "segment/locate.h"
#include "segment/row_layout.h"

namespace fletching::segment {

// Cell (rows.At(i), c) of the matrix receives column c of row i when `layout` packs it; others are
// left alone. Columns that lie side by side in the row as in the matrix, and have its type, are
// copied as one run of bytes; the rest is converted, column by column over a few rows.
// Every column has a type that FindCellConverter admits.
// Errors: kSchemaMismatch naming the column: a value that does not fit, a null without a fill.
Status GatherMatrix(const RowLayout& layout, std::span<const ColumnSchema* const> columns,
                    const RowSelection& rows, const MatrixTarget& target);

// Places in `columns` of those that GatherMatrix leaves alone: sparse, constant or without data.
std::vector<size_t> ColumnsNotPacked(const RowLayout& layout,
                                     std::span<const ColumnSchema* const> columns);

}  // namespace fletching::segment
