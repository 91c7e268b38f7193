// Columns of an answer as one matrix. Stage: assemble, behind the engine's.
#pragma once

#include <cstdint>
#include <optional>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::python {

enum class MatrixType : uint8_t { kFloat32, kFloat64, kInt32, kInt64 };

// A matrix in memory of the caller. Shape: [rows, columns] of the batch. Units: strides in
// elements; row-major has a column_stride of 1.
struct MatrixView {
  void* values = nullptr;
  MatrixType type = MatrixType::kFloat32;
  int64_t row_stride = 0;
  int64_t column_stride = 1;
};

// Converts every value to the matrix's type; nulls, of missing keys too, become `fill`, or NaN.
// Floats round; integers must fit, and take neither fractions nor floats.
// Errors: kSchemaMismatch naming the column: not a number, a float for an integer matrix, a value
// out of range, a null without a fill for an integer matrix.
Status FillMatrix(const arrow::RecordBatch& batch, std::optional<double> fill,
                  const MatrixView& matrix);

}  // namespace fletching::python
