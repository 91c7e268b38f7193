#include "engine/test_matrix.h"

#include <cmath>
#include <optional>
#include <variant>

#include <arrow/api.h>
#include <arrow/util/float16.h>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/matrix.h"

namespace fletching::engine {
namespace {

using arrow::util::Float16;
using Number = std::variant<int64_t, uint64_t, double>;

template <typename ArrayType>
auto ValueAt(const arrow::Array& column, int64_t row) {
  return static_cast<const ArrayType&>(column).Value(row);
}

// nullopt: the column holds no numbers.
std::optional<Number> NumberAt(const arrow::Array& column, int64_t row) {
  switch (column.type_id()) {
    case arrow::Type::BOOL:
      return int64_t{ValueAt<arrow::BooleanArray>(column, row)};
    case arrow::Type::INT8:
      return int64_t{ValueAt<arrow::Int8Array>(column, row)};
    case arrow::Type::INT16:
      return int64_t{ValueAt<arrow::Int16Array>(column, row)};
    case arrow::Type::INT32:
      return int64_t{ValueAt<arrow::Int32Array>(column, row)};
    case arrow::Type::INT64:
      return int64_t{ValueAt<arrow::Int64Array>(column, row)};
    case arrow::Type::UINT8:
      return uint64_t{ValueAt<arrow::UInt8Array>(column, row)};
    case arrow::Type::UINT16:
      return uint64_t{ValueAt<arrow::UInt16Array>(column, row)};
    case arrow::Type::UINT32:
      return uint64_t{ValueAt<arrow::UInt32Array>(column, row)};
    case arrow::Type::UINT64:
      return uint64_t{ValueAt<arrow::UInt64Array>(column, row)};
    case arrow::Type::HALF_FLOAT:
      return Float16::FromBits(ValueAt<arrow::HalfFloatArray>(column, row)).ToDouble();
    case arrow::Type::FLOAT:
      return double{ValueAt<arrow::FloatArray>(column, row)};
    case arrow::Type::DOUBLE:
      return ValueAt<arrow::DoubleArray>(column, row);
    default:
      return std::nullopt;
  }
}

bool IsNumber(const arrow::DataType& type) {
  for (const auto& number : NumberTypes()) {
    if (type.Equals(*number)) return true;
  }
  return false;
}

template <typename To>
std::optional<To> ConvertTo(const Number& number) {
  return std::visit(
      [](auto value) -> std::optional<To> {
        if constexpr (std::is_integral_v<To> && std::is_integral_v<decltype(value)>) {
          if (!std::in_range<To>(value)) return std::nullopt;
          return static_cast<To>(value);
        } else if constexpr (std::is_same_v<To, Float16>) {
          return Float16::FromDouble(static_cast<double>(value));
        } else {
          return static_cast<To>(value);
        }
      },
      number);
}

template <typename T>
bool IsSameCell(T a, T b) {
  if constexpr (std::is_same_v<T, Float16>) {
    return a.bits() == b.bits() || (a.is_nan() && b.is_nan());
  } else if constexpr (std::is_floating_point_v<T>) {
    return a == b || (std::isnan(a) && std::isnan(b));
  } else {
    return a == b;
  }
}

// [rows x columns] cells that must come out, or nullopt when the read has to fail.
template <typename To>
std::optional<std::vector<To>> ExpectedCells(const arrow::RecordBatch& batch,
                                             std::optional<double> fill) {
  constexpr bool is_integer = std::is_integral_v<To>;
  for (const auto& column : batch.columns()) {
    if (!IsNumber(*column->type())) return std::nullopt;
    if (is_integer && arrow::is_floating(column->type_id())) return std::nullopt;
  }
  std::vector<To> cells;
  for (int64_t row = 0; row < batch.num_rows(); ++row) {
    for (const auto& column : batch.columns()) {
      if (column->IsValid(row)) {
        const auto cell = ConvertTo<To>(*NumberAt(*column, row));
        if (!cell.has_value()) return std::nullopt;
        cells.push_back(*cell);
      } else {
        if (is_integer && !fill.has_value()) return std::nullopt;
        cells.push_back(*ConvertTo<To>(fill.value_or(std::nan(""))));
      }
    }
  }
  return cells;
}

// The matrix lies somewhere in a larger block of memory.
struct Block {
  std::vector<uint8_t> bytes;
  MatrixView view;

  Block(MatrixType type, int64_t width, int64_t rows, int64_t columns, Random& random) {
    const int64_t gap = random.Chance(50) ? 0 : random.Below(5);
    const bool is_row_major = random.Chance(80);
    int64_t row_stride = is_row_major ? columns * width + gap : width;
    const int64_t column_stride = is_row_major ? width : rows * width + gap;
    bytes.assign(static_cast<size_t>((rows + 2) * (columns + 2) * (width + gap)), 0xcd);
    uint8_t* first = bytes.data() + gap;
    if (is_row_major && random.Chance(20) && rows > 0) {  // from the last row up
      first += (rows - 1) * row_stride;
      row_stride = -row_stride;
    }
    view = {first, type, rows, columns, row_stride, column_stride};
  }
  uint8_t* Cell(int64_t row, int64_t column) {
    return static_cast<uint8_t*>(view.values) + row * view.row_stride_bytes +
           column * view.column_stride_bytes;
  }
};

template <typename To>
void CompareBlock(const Status& status, Block* block,
                  const std::optional<std::vector<To>>& expected) {
  ASSERT_EQ(status.ok(), expected.has_value()) << status;
  if (!status.ok()) {
    EXPECT_EQ(CodeOf(status), ErrorCode::kSchemaMismatch) << status;
    EXPECT_TRUE(status.message().starts_with("column '")) << status;
    return;
  }
  size_t at = 0;
  for (int64_t row = 0; row < block->view.row_count; ++row) {
    for (int64_t column = 0; column < block->view.column_count; ++column, ++at) {
      uint8_t* cell = block->Cell(row, column);
      ASSERT_TRUE(IsSameCell(LoadAs<To>(cell), (*expected)[at]))
          << "row " << row << " column " << column;
      std::memset(cell, 0xcd, sizeof(To));
    }
  }
  for (const uint8_t byte : block->bytes) ASSERT_EQ(byte, 0xcd) << "beside the matrix";
}

template <typename To>
void CompareOne(const Engine& engine, const MatrixRequest& asked, MatrixType type,
                const ReadResult& read, Random& random) {
  SCOPED_TRACE("matrix of type " + std::to_string(static_cast<int>(type)));
  const arrow::RecordBatch& batch = *read.batch;
  const auto expected = ExpectedCells<To>(batch, asked.fill);
  Block block(type, sizeof(To), batch.num_rows(), batch.num_columns(), random);
  MatrixRequest request = asked;
  request.out = block.view;
  const auto result = engine.ReadMatrix(request);
  CompareBlock<To>(result.status(), &block, expected);
  if (::testing::Test::HasFailure()) return;
  if (result.ok()) {
    EXPECT_EQ(result->found_count, read.found_count);
    EXPECT_EQ(result->version, read.version);
    EXPECT_TRUE(result->found->Equals(*read.found));
  }
  // What clients make of the columns that a server sent them.
  Block columnwise(type, sizeof(To), batch.num_rows(), batch.num_columns(), random);
  const auto target = MatrixTarget::Make(columnwise.view, asked.fill);
  ASSERT_TRUE(target.ok()) << target.status();
  CompareBlock<To>(FillMatrix(batch, *target), &columnwise, expected);
}

}  // namespace

const std::vector<std::shared_ptr<arrow::DataType>>& NumberTypes() {
  static const std::vector<std::shared_ptr<arrow::DataType>> types = {
      arrow::boolean(), arrow::int8(),    arrow::int16(),   arrow::int32(),
      arrow::int64(),   arrow::uint8(),   arrow::uint16(),  arrow::uint32(),
      arrow::uint64(),  arrow::float16(), arrow::float32(), arrow::float64()};
  return types;
}

void CompareMatrices(const Engine& engine, const std::string& table, const KeyArrays& keys,
                     const std::vector<std::string>& columns, Random& random) {
  const auto read = engine.Read({.table = table, .keys = keys, .columns = columns});
  ASSERT_TRUE(read.ok()) << read.status();
  MatrixRequest request{.table = table, .keys = keys, .columns = columns};
  if (random.Chance(60)) request.fill = static_cast<double>(random.Below(200)) - 100;
  CompareOne<Float16>(engine, request, MatrixType::kFloat16, *read, random);
  CompareOne<float>(engine, request, MatrixType::kFloat32, *read, random);
  CompareOne<double>(engine, request, MatrixType::kFloat64, *read, random);
  CompareOne<int32_t>(engine, request, MatrixType::kInt32, *read, random);
  CompareOne<int64_t>(engine, request, MatrixType::kInt64, *read, random);
}

}  // namespace fletching::engine
