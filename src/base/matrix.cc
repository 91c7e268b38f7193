#include "base/matrix.h"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/float16.h>

#include "base/bytes.h"

namespace fletching {
namespace {

using arrow::util::Float16;

// A bool is a byte, of which one bit counts.
struct Bool {
  uint8_t byte;
};

template <typename From>
auto Number(From value) {
  if constexpr (std::is_same_v<From, Bool>) {
    return static_cast<uint8_t>(value.byte & 1);
  } else if constexpr (std::is_same_v<From, Float16>) {
    return value.ToFloat();
  } else {
    return value;
  }
}

template <typename To, typename Value>
To Cell(Value value) {
  if constexpr (!std::is_same_v<To, Float16>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_same_v<Value, float>) {
    return Float16::FromFloat(value);
  } else {
    return Float16::FromDouble(static_cast<double>(value));
  }
}

template <typename From, typename To>
int64_t Convert(const uint8_t* const* sources, int64_t source_offset, uint8_t* const* targets,
                int64_t target_offset, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const From from = LoadAs<From>(sources[i] + source_offset);
    if constexpr (std::is_same_v<From, To>) {
      StoreAs(targets[i] + target_offset, from);
    } else {
      const auto value = Number(from);
      if constexpr (std::is_integral_v<To>) {
        if (!std::in_range<To>(value)) return i;
      }
      StoreAs(targets[i] + target_offset, Cell<To>(value));
    }
  }
  return end;
}

template <typename From>
CellConverter FindTarget(MatrixType to) {
  constexpr bool is_float = std::is_floating_point_v<decltype(Number(From{}))>;
  switch (to) {
    case MatrixType::kFloat16:
      return Convert<From, Float16>;
    case MatrixType::kFloat32:
      return Convert<From, float>;
    case MatrixType::kFloat64:
      return Convert<From, double>;
    case MatrixType::kInt32:
      if constexpr (!is_float) return Convert<From, int32_t>;
      break;
    case MatrixType::kInt64:
      if constexpr (!is_float) return Convert<From, int64_t>;
      break;
  }
  return nullptr;
}

// nullopt: no number; nullptr: none for this matrix.
std::optional<CellConverter> FindSource(arrow::Type::type from, MatrixType to) {
  switch (from) {
    case arrow::Type::BOOL:
      return FindTarget<Bool>(to);
    case arrow::Type::INT8:
      return FindTarget<int8_t>(to);
    case arrow::Type::INT16:
      return FindTarget<int16_t>(to);
    case arrow::Type::INT32:
      return FindTarget<int32_t>(to);
    case arrow::Type::INT64:
      return FindTarget<int64_t>(to);
    case arrow::Type::UINT8:
      return FindTarget<uint8_t>(to);
    case arrow::Type::UINT16:
      return FindTarget<uint16_t>(to);
    case arrow::Type::UINT32:
      return FindTarget<uint32_t>(to);
    case arrow::Type::UINT64:
      return FindTarget<uint64_t>(to);
    case arrow::Type::HALF_FLOAT:
      return FindTarget<Float16>(to);
    case arrow::Type::FLOAT:
      return FindTarget<float>(to);
    case arrow::Type::DOUBLE:
      return FindTarget<double>(to);
    default:
      return std::nullopt;
  }
}

arrow::Type::type ArrowTypeOf(MatrixType type) {
  switch (type) {
    case MatrixType::kFloat16:
      return arrow::Type::HALF_FLOAT;
    case MatrixType::kFloat32:
      return arrow::Type::FLOAT;
    case MatrixType::kFloat64:
      return arrow::Type::DOUBLE;
    case MatrixType::kInt32:
      return arrow::Type::INT32;
    case MatrixType::kInt64:
      return arrow::Type::INT64;
  }
  return arrow::Type::NA;
}

// The fill as bytes of the matrix's type; false when it cannot hold it.
template <typename To>
bool StoreFill(double fill, uint8_t* out) {
  if constexpr (std::is_integral_v<To>) {
    // Compared as doubles: beyond these the conversion would have no meaning.
    constexpr auto kMin = static_cast<double>(std::numeric_limits<To>::min());
    if (!(fill >= kMin && fill < -kMin) || static_cast<double>(static_cast<To>(fill)) != fill) {
      return false;
    }
  }
  StoreAs(out, Cell<To>(fill));
  return true;
}

bool StoreFill(MatrixType type, double fill, uint8_t* out) {
  switch (type) {
    case MatrixType::kFloat16:
      return StoreFill<Float16>(fill, out);
    case MatrixType::kFloat32:
      return StoreFill<float>(fill, out);
    case MatrixType::kFloat64:
      return StoreFill<double>(fill, out);
    case MatrixType::kInt32:
      return StoreFill<int32_t>(fill, out);
    case MatrixType::kInt64:
      return StoreFill<int64_t>(fill, out);
  }
  return false;
}

uint32_t WidthOf(MatrixType type) {
  if (type == MatrixType::kFloat16) return 2;
  return type == MatrixType::kFloat32 || type == MatrixType::kInt32 ? 4 : 8;
}

template <typename Value>
std::string ValueText(const uint8_t* value) {
  return std::to_string(LoadAs<Value>(value));
}

std::string IntegerText(arrow::Type::type type, const uint8_t* value) {
  switch (type) {  // narrower ones fit every matrix
    case arrow::Type::INT64:
      return ValueText<int64_t>(value);
    case arrow::Type::UINT64:
      return ValueText<uint64_t>(value);
    default:
      return ValueText<uint32_t>(value);
  }
}

// Rows begin .. end of a column, at most kMatrixRowsTogether.
Status FillRows(const CellColumn& cells, const arrow::Array& column, const uint32_t* rows,
                int64_t begin, int64_t end, const MatrixTarget& target) {
  const uint8_t* sources[kMatrixRowsTogether];
  uint8_t* targets[kMatrixRowsTogether];
  uint8_t bools[kMatrixRowsTogether];
  const auto row_of = [&](int64_t i) { return rows != nullptr ? int64_t{rows[i]} : i; };
  const bool is_bool = column.type_id() == arrow::Type::BOOL;
  const arrow::ArrayData& data = *column.data();
  const uint8_t* const values = data.buffers[1] != nullptr ? data.buffers[1]->data() : nullptr;
  const int64_t width = is_bool ? 1 : column.type()->byte_width();
  for (int64_t i = begin; i < end; ++i) {
    if (is_bool) {
      bools[i - begin] = GetBit(values, data.offset + i) ? 1 : 0;
      sources[i - begin] = bools + (i - begin);
    } else {
      sources[i - begin] = values + (data.offset + i) * width;
    }
    targets[i - begin] = target.Row(row_of(i));
  }
  return ConvertCells(
      target, cells, sources, targets, end - begin, column.null_count() > 0,
      [&](int64_t i) { return column.IsNull(begin + i); },
      [&](int64_t i) { return row_of(begin + i); });
}

Result<CellColumn> CellsOf(std::string_view name, const arrow::Array& column, size_t at,
                           const MatrixTarget& target) {
  ARROW_ASSIGN_OR_RAISE(const CellConverter convert,
                        FindCellConverter(name, *column.type(), target.type()));
  return CellColumn{name, column.type().get(), convert, 0, target.Offset(at)};
}

}  // namespace

Result<CellConverter> FindCellConverter(std::string_view column, const arrow::DataType& from,
                                        MatrixType to) {
  const std::optional<CellConverter> found = FindSource(from.id(), to);
  if (found.has_value() && *found != nullptr) return *found;
  return SchemaMismatch("column '" + std::string(column) + "' is " + from.ToString() +
                        (found.has_value() ? ", which an integer matrix cannot hold"
                                           : ", which is no number; leave it out"));
}

bool IsSameType(const arrow::DataType& from, MatrixType to) { return from.id() == ArrowTypeOf(to); }

Status CheckShape(const MatrixView& out, int64_t row_count, int64_t column_count) {
  if (out.row_count == row_count && out.column_count == column_count) return Status::OK();
  const auto text = [](int64_t rows, int64_t columns) {
    return "(" + std::to_string(rows) + ", " + std::to_string(columns) + ")";
  };
  return InvalidArgument("out has shape " + text(out.row_count, out.column_count) +
                         ", the answer " + text(row_count, column_count));
}

Status NullWithoutFill(std::string_view column) {
  return SchemaMismatch("column '" + std::string(column) +
                        "' has nulls; say what takes their place: fill=0");
}

Status CellMisfit(std::string_view column, const arrow::DataType& type, const uint8_t* value,
                  int64_t row) {
  return SchemaMismatch("column '" + std::string(column) + "' value " +
                        IntegerText(type.id(), value) + " of row " + std::to_string(row) +
                        " does not fit the matrix's dtype");
}

Result<MatrixTarget> MatrixTarget::Make(const MatrixView& view, std::optional<double> fill) {
  MatrixTarget target;
  target.view_ = view;
  target.width_ = WidthOf(view.type);
  const bool is_integer = view.type == MatrixType::kInt32 || view.type == MatrixType::kInt64;
  target.has_fill_ = fill.has_value() || !is_integer;
  if (!target.has_fill_) return target;
  if (!StoreFill(view.type, fill.value_or(std::numeric_limits<double>::quiet_NaN()),
                 target.fill_.data())) {
    return InvalidArgument("fill " + std::to_string(*fill) + " does not fit an integer matrix");
  }
  return target;
}

Status FillMatrix(const arrow::RecordBatch& batch, const MatrixTarget& target) {
  const arrow::ArrayVector columns = batch.columns();
  std::vector<CellColumn> cells;
  for (size_t at = 0; at < columns.size(); ++at) {
    const std::string& name = batch.schema()->field(static_cast<int>(at))->name();
    ARROW_ASSIGN_OR_RAISE(cells.emplace_back(), CellsOf(name, *columns[at], at, target));
  }
  for (int64_t begin = 0; begin < batch.num_rows(); begin += kMatrixRowsTogether) {
    const int64_t end = std::min(begin + kMatrixRowsTogether, batch.num_rows());
    for (size_t at = 0; at < columns.size(); ++at) {
      ARROW_RETURN_NOT_OK(FillRows(cells[at], *columns[at], nullptr, begin, end, target));
    }
  }
  return Status::OK();
}

Status FillMatrixColumn(std::string_view name, const arrow::Array& column, const uint32_t* rows,
                        size_t at, const MatrixTarget& target) {
  ARROW_ASSIGN_OR_RAISE(const CellColumn cells, CellsOf(name, column, at, target));
  for (int64_t begin = 0; begin < column.length(); begin += kMatrixRowsTogether) {
    const int64_t end = std::min(begin + kMatrixRowsTogether, column.length());
    ARROW_RETURN_NOT_OK(FillRows(cells, column, rows, begin, end, target));
  }
  return Status::OK();
}

}  // namespace fletching
