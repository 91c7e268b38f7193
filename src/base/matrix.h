// Numbers of columns as cells of a matrix: one rule for rows that are gathered straight into one
// (segment/gather_matrix.h) and for columns that are there already (FillMatrix).
//
// Floats round as in a cast; integers must fit, and integer matrices take no floats. Nulls become
// the fill. Knows no rows of a segment. Threads: any; everything here is immutable.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"

#include "fletching/request.h"
#include "fletching/status.h"

namespace fletching {

// Cells that are worked on together, so that the lines of a row are still there for its next
// column.
inline constexpr int64_t kMatrixRowsTogether = 64;

// Converts cells begin .. end: from sources[i] + source_offset, unaligned, to targets[i] +
// target_offset. Returns the first that does not fit, or `end`.
using CellConverter = int64_t (*)(const uint8_t* const* sources, int64_t source_offset,
                                  uint8_t* const* targets, int64_t target_offset, int64_t begin,
                                  int64_t end);

// Errors: kSchemaMismatch naming the column: no number, or a float for an integer matrix. Bools are
// bytes of 0 or 1.
Result<CellConverter> FindCellConverter(std::string_view column, const arrow::DataType& from,
                                        MatrixType to);

// Whether cells of this type and of the matrix's are the same bytes.
bool IsSameType(const arrow::DataType& from, MatrixType to);

// The caller's memory with a fill of its type.
class MatrixTarget {
 public:
  // Errors: kInvalidArgument when an integer matrix cannot hold the fill.
  static Result<MatrixTarget> Make(const MatrixView& view, std::optional<double> fill);

  // The same from row `first` on.
  MatrixTarget From(int64_t first) const {
    MatrixTarget rest = *this;
    rest.view_.values = Row(first);
    rest.first_row_ += first;
    return rest;
  }
  int64_t RowNumber(int64_t row) const { return first_row_ + row; }  // in the caller's matrix
  MatrixType type() const { return view_.type; }
  uint32_t width() const { return width_; }  // bytes of a cell
  bool has_fill() const { return has_fill_; }
  // Whether a row's cells lie side by side.
  bool is_row_major() const { return view_.column_stride_bytes == width_; }
  uint8_t* Row(int64_t row) const {
    return static_cast<uint8_t*>(view_.values) + row * view_.row_stride_bytes;
  }
  int64_t Offset(size_t column) const {
    return static_cast<int64_t>(column) * view_.column_stride_bytes;
  }
  void Fill(uint8_t* cell) const { std::memcpy(cell, fill_.data(), width_); }
  void FillRow(int64_t row) const {
    for (int64_t column = 0; column < view_.column_count; ++column) {
      Fill(Row(row) + Offset(static_cast<size_t>(column)));
    }
  }

 private:
  MatrixView view_;
  uint32_t width_ = 0;
  bool has_fill_ = false;
  int64_t first_row_ = 0;
  std::array<uint8_t, 8> fill_{};
};

// kSchemaMismatch: "column 'clicks' has nulls; say what takes their place: fill=0".
Status NullWithoutFill(std::string_view column);
// kSchemaMismatch for a value that does not fit.
Status CellMisfit(std::string_view column, const arrow::DataType& type, const uint8_t* value,
                  int64_t row);

// A column on its way into a matrix, at most kMatrixRowsTogether rows at a time.
struct CellColumn {
  std::string_view name;
  const arrow::DataType* type = nullptr;  // of the source
  CellConverter convert = nullptr;
  int64_t source_offset = 0;
  int64_t target_offset = 0;
};

// is_null(i), row_of(i): of the i-th cell, the latter for errors alone.
// may_be_null: false where no cell is null, without a look at them.
template <typename IsNull, typename RowOf>
Status ConvertCells(const MatrixTarget& target, const CellColumn& column,
                    const uint8_t* const* sources, uint8_t* const* targets, int64_t count,
                    bool may_be_null, const IsNull& is_null, const RowOf& row_of) {
  for (int64_t at = 0; at < count; ++at) {
    at = column.convert(sources, column.source_offset, targets, column.target_offset, at, count);
    if (at < count && !(may_be_null && is_null(at))) {
      return CellMisfit(column.name, *column.type, sources[at] + column.source_offset,
                        target.RowNumber(row_of(at)));
    }
  }
  for (int64_t i = 0; may_be_null && i < count; ++i) {
    if (!is_null(i)) continue;
    if (!target.has_fill()) return NullWithoutFill(column.name);
    target.Fill(targets[i] + column.target_offset);
  }
  return Status::OK();
}

// Whether a matrix has the shape of an answer. Errors: kInvalidArgument naming both.
Status CheckShape(const MatrixView& out, int64_t row_count, int64_t column_count);

// Columns of a batch as the matrix, whose shape is the batch's. Errors: kSchemaMismatch naming the
// column.
Status FillMatrix(const arrow::RecordBatch& batch, const MatrixTarget& target);

// Column `at` of the matrix, row i of it in row rows[i]; null = i.
Status FillMatrixColumn(std::string_view name, const arrow::Array& column, const uint32_t* rows,
                        size_t at, const MatrixTarget& target);

}  // namespace fletching
