#include "python/src/matrix.h"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/visit_type_inline.h>

namespace fletching::python {
namespace {

// Rows written before the next column's turn, so that a row's cache lines are still there.
constexpr int64_t kRowsTogether = 64;

template <typename To>
struct Target {
  To* values;
  int64_t row_stride;
  int64_t column_stride;
  To fill;
  bool has_fill;
};

// One column, rows [begin, end).
template <typename ArrowType, typename To>
Status CopyRows(const arrow::NumericArray<ArrowType>& column, int64_t at, int64_t begin,
                int64_t end, const Target<To>& target) {
  using From = typename ArrowType::c_type;
  const From* values = column.raw_values();
  const bool has_nulls = column.null_count() > 0;
  To* out = target.values + begin * target.row_stride + at * target.column_stride;
  for (int64_t row = begin; row < end; ++row, out += target.row_stride) {
    if (has_nulls && column.IsNull(row)) {
      if (!target.has_fill) return SchemaMismatch("has nulls; say what takes their place: fill=0");
      *out = target.fill;
    } else if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
      if (!std::in_range<To>(values[row])) {
        return SchemaMismatch("value " + std::to_string(values[row]) + " of row " +
                              std::to_string(row) + " does not fit the matrix's dtype");
      }
      *out = static_cast<To>(values[row]);
    } else {
      *out = static_cast<To>(values[row]);
    }
  }
  return Status::OK();
}

template <typename To>
Status CopyBools(const arrow::BooleanArray& column, int64_t at, int64_t begin, int64_t end,
                 const Target<To>& target) {
  for (int64_t row = begin; row < end; ++row) {
    To* out = target.values + row * target.row_stride + at * target.column_stride;
    if (column.IsValid(row)) {
      *out = column.Value(row) ? To{1} : To{0};
    } else if (target.has_fill) {
      *out = target.fill;
    } else {
      return SchemaMismatch("has nulls; say what takes their place: fill=0");
    }
  }
  return Status::OK();
}

// Arrow's type of a column decides which copy it gets.
template <typename To>
struct ColumnCopy {
  const arrow::Array& column;
  int64_t at, begin, end;
  const Target<To>& target;

  template <typename ArrowType>
  Status Visit(const ArrowType& type) {
    if constexpr (std::is_same_v<ArrowType, arrow::BooleanType>) {
      return CopyBools(static_cast<const arrow::BooleanArray&>(column), at, begin, end, target);
    } else if constexpr (arrow::is_number_type<ArrowType>::value &&
                         !arrow::is_half_float_type<ArrowType>::value) {
      if constexpr (std::is_integral_v<To> && arrow::is_floating_type<ArrowType>::value) {
        return SchemaMismatch("is " + type.ToString() + ", which an integer matrix cannot hold");
      } else {
        return CopyRows(static_cast<const arrow::NumericArray<ArrowType>&>(column), at, begin, end,
                        target);
      }
    } else {
      return SchemaMismatch("is " + type.ToString() + ", which is no number; leave it out");
    }
  }
};

template <typename To>
Status Fill(const arrow::RecordBatch& batch, std::optional<double> fill, const MatrixView& matrix) {
  Target<To> target{static_cast<To*>(matrix.values), matrix.row_stride, matrix.column_stride, To{},
                    fill.has_value()};
  if constexpr (std::is_floating_point_v<To>) {
    target.fill = static_cast<To>(fill.value_or(std::numeric_limits<double>::quiet_NaN()));
    target.has_fill = true;
  } else if (fill.has_value()) {
    // Compared as doubles: beyond these the conversion would have no meaning.
    const bool fits = *fill >= static_cast<double>(std::numeric_limits<To>::min()) &&
                      *fill < -static_cast<double>(std::numeric_limits<To>::min());
    if (!fits || static_cast<double>(static_cast<To>(*fill)) != *fill) {
      return InvalidArgument("fill " + std::to_string(*fill) + " does not fit an integer matrix");
    }
    target.fill = static_cast<To>(*fill);
  }
  const arrow::ArrayVector columns = batch.columns();
  for (int64_t begin = 0; begin < batch.num_rows(); begin += kRowsTogether) {
    const int64_t end = std::min(begin + kRowsTogether, batch.num_rows());
    for (size_t at = 0; at < columns.size(); ++at) {
      ColumnCopy<To> copy{*columns[at], static_cast<int64_t>(at), begin, end, target};
      const Status status = arrow::VisitTypeInline(*columns[at]->type(), &copy);
      if (!status.ok()) {
        return MakeError(CodeOf(status), "column '" + batch.column_name(static_cast<int>(at)) +
                                             "' " + status.message());
      }
    }
  }
  return Status::OK();
}

}  // namespace

Status FillMatrix(const arrow::RecordBatch& batch, std::optional<double> fill,
                  const MatrixView& matrix) {
  switch (matrix.type) {
    case MatrixType::kFloat32:
      return Fill<float>(batch, fill, matrix);
    case MatrixType::kFloat64:
      return Fill<double>(batch, fill, matrix);
    case MatrixType::kInt32:
      return Fill<int32_t>(batch, fill, matrix);
    case MatrixType::kInt64:
      return Fill<int64_t>(batch, fill, matrix);
  }
  return InvalidArgument("a matrix of an unknown type");
}

}  // namespace fletching::python
