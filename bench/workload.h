// Rows and keys of the engine's benchmarks: the same keys and values as the bare loop's, as Arrow.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <arrow/api.h>

#include "fletching/engine.h"

#include "yardstick/measure.h"

namespace fletching::bench {

constexpr int64_t kBatchRows = 64 * 1024;

// Ends the program with the status when it is not OK.
inline void Must(const Status& status) {
  if (!status.ok()) yardstick::Fail(status.ToString());
}
template <typename T>
T Must(Result<T> result) {
  Must(result.status());
  return *std::move(result);
}

// As in the bare loop: a value follows from its place. Exact in float32.
inline float ValueOf(uint64_t row, uint64_t column) {
  return static_cast<float>(((row * 2654435761u) ^ (column * 40503u)) & 0xFFFFFF);
}

inline void WriteKey(uint64_t number, int64_t key_bytes, uint8_t* out) {
  std::memcpy(out, "user:", 5);
  for (uint8_t* digit = out + key_bytes - 1; digit >= out + 5; --digit) {
    *digit = static_cast<uint8_t>('0' + number % 10);
    number /= 10;
  }
}

inline std::string ColumnName(int64_t column) { return "f" + std::to_string(column); }

inline TableSchema FloatSchema(int64_t columns) {
  TableSchema schema;
  schema.columns.push_back({.name = "id", .type = arrow::utf8(), .nullable = false});
  for (int64_t c = 0; c < columns; ++c) {
    schema.columns.push_back({.name = ColumnName(c), .type = arrow::float32()});
  }
  schema.key = {"id"};
  return schema;
}

inline std::shared_ptr<arrow::StringArray> KeyArray(const std::vector<uint64_t>& numbers,
                                                    int64_t key_bytes) {
  const auto count = static_cast<int64_t>(numbers.size());
  std::shared_ptr<arrow::Buffer> offsets = Must(arrow::AllocateBuffer((count + 1) * 4));
  std::shared_ptr<arrow::Buffer> bytes = Must(arrow::AllocateBuffer(count * key_bytes));
  auto* ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  for (int64_t i = 0; i <= count; ++i) ends[i] = static_cast<int32_t>(i * key_bytes);
  for (int64_t i = 0; i < count; ++i) {
    WriteKey(numbers[static_cast<size_t>(i)], key_bytes, bytes->mutable_data() + i * key_bytes);
  }
  return std::make_shared<arrow::StringArray>(count, offsets, bytes);
}

// Rows first .. first + count of the benchmark's table.
inline std::shared_ptr<arrow::RecordBatch> MakeRows(uint64_t first, int64_t count, int64_t columns,
                                                    int64_t key_bytes) {
  std::vector<uint64_t> numbers(static_cast<size_t>(count));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = first + i;
  std::vector<std::shared_ptr<arrow::Field>> fields{arrow::field("id", arrow::utf8(), false)};
  std::vector<std::shared_ptr<arrow::Array>> arrays{KeyArray(numbers, key_bytes)};
  for (int64_t c = 0; c < columns; ++c) {
    std::shared_ptr<arrow::Buffer> values = Must(arrow::AllocateBuffer(count * 4));
    auto* floats = reinterpret_cast<float*>(values->mutable_data());
    for (int64_t i = 0; i < count; ++i) {
      floats[i] = ValueOf(first + static_cast<uint64_t>(i), static_cast<uint64_t>(c));
    }
    fields.push_back(arrow::field(ColumnName(c), arrow::float32()));
    arrays.push_back(std::make_shared<arrow::FloatArray>(count, values));
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), count, arrays);
}

}  // namespace fletching::bench
