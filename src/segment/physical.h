// Arrow columns as the store sees them: every value is `width` bytes, or bytes of any length.
// Stages: seal (Arrow -> physical) and assemble (physical -> Arrow).
//
//   bool               1 byte, 0 or 1
//   fixed-width types  as in Arrow
//   fixed_size_list    n item values, then ceil(n/8) bytes of item validity (1 = valid)
//   utf8, binary       the bytes
//   list<number>       u32 count (bit 31: has null items), [validity bits], item values
//   list<utf8|binary>  u32 count (bit 31: has null items), [validity bits], u32 ends, bytes
//
// Holds no layout of rows and opens no file.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::segment {

struct Physical {
  bool is_variable = false;
  uint32_t width = 0;  // bytes of a fixed-width value; 0 for variable ones
};
// `type` has passed CheckType.
Physical PhysicalOf(const arrow::DataType& type);

// A view of one column of a batch. Lifetime: `owners` keeps what the pointers refer to.
struct PhysicalColumn {
  const uint8_t* values = nullptr;    // null: every row is null
  const int32_t* offsets = nullptr;   // variable: [rows + 1] into `values`; else null
  uint32_t width = 0;                 // fixed: bytes of a value
  const uint8_t* validity = nullptr;  // null: no nulls
  int64_t validity_offset = 0;        // first bit
  std::vector<std::shared_ptr<void>> owners;

  bool all_null() const { return values == nullptr; }
  bool IsNull(int64_t row) const {
    return values == nullptr || (validity != nullptr && !GetBit(validity, validity_offset + row));
  }
  ByteSpan Value(int64_t row) const {
    if (offsets == nullptr) return {values + row * width, width};
    return {values + offsets[row], static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
};

// `column` was validated and has exactly a type that CheckType admits.
Result<PhysicalColumn> MakePhysical(const std::shared_ptr<arrow::Array>& column);

// The inverse, for fixed widths, into `out`, which is new. `values`: row_count * width bytes,
// meaningful where valid. `validity` may be null = no nulls. Takes the buffers without a copy where
// Arrow's layout is ours.
void FillFixedData(std::shared_ptr<arrow::DataType> type, int64_t row_count,
                   std::shared_ptr<arrow::Buffer> values, std::shared_ptr<arrow::Buffer> validity,
                   int64_t null_count, arrow::ArrayData* out);

// The inverse, for variable lengths. Shape: one span per row; null rows have any span.
// has_room_in_front: the kTextPieceBytes in front of the end of every span that is not empty can be
// read, as in segments and memory tables, where something always lies in front of a row's text.
// Errors: kCorruption when list bytes do not add up; kTooLarge above 2 GiB of one column.
Status FillVariableData(std::shared_ptr<arrow::DataType> type, std::span<const ByteSpan> values,
                        std::shared_ptr<arrow::Buffer> validity, int64_t null_count,
                        bool has_room_in_front, arrow::ArrayData* out);
inline constexpr size_t kTextPieceBytes = 48;

}  // namespace fletching::segment
