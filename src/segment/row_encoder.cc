#include "segment/row_encoder.h"

#include <algorithm>

namespace fletching::segment {
namespace {

// Sizes of the rows and where each begins; grows `rows_out` and zeroes the new part.
Status PlaceRows(const RowLayout& layout, const RowBatch& batch, int64_t first, int64_t count,
                 uint32_t gap_bytes, std::vector<uint8_t>* rows_out,
                 std::vector<uint64_t>* starts_out, std::vector<uint32_t>* sizes_out) {
  std::vector<uint64_t> sizes(static_cast<size_t>(count));
  const uint32_t fixed = layout.key_prefix_bytes() + layout.fixed_bytes;
  for (int64_t i = 0; i < count; ++i) sizes[i] = fixed + batch.keys->Size(first + i);
  for (size_t c = 0; c < layout.columns.size(); ++c) {
    const LayoutColumn& column = layout.columns[c];
    const PhysicalColumn& source = batch.columns[c];
    if (column.encoding != format::Encoding::kPacked || !column.is_variable) continue;
    if (source.all_null()) continue;
    for (int64_t i = 0; i < count; ++i) {
      if (!source.IsNull(first + i)) sizes[i] += source.Value(first + i).size();
    }
  }
  starts_out->resize(static_cast<size_t>(count));
  if (sizes_out != nullptr) sizes_out->resize(static_cast<size_t>(count));
  uint64_t at = rows_out->size();
  for (int64_t i = 0; i < count; ++i) {
    if (sizes[i] > UINT32_MAX) return TooLarge("a row exceeds 4 GiB");
    at += gap_bytes;
    (*starts_out)[i] = at;
    if (sizes_out != nullptr) (*sizes_out)[i] = static_cast<uint32_t>(sizes[i]);
    at += RoundUp(sizes[i], layout.unit_bytes);
  }
  rows_out->resize(at);
  return Status::OK();
}

template <uint32_t kWidth>
void StoreSlots(const PhysicalColumn& source, int64_t first, std::span<uint8_t* const> bodies,
                uint32_t offset) {
  const uint8_t* value = source.values + first * kWidth;
  for (uint8_t* body : bodies) {
    std::memcpy(body + offset, value, kWidth);
    value += kWidth;
  }
}

void StoreFixed(const LayoutColumn& column, const PhysicalColumn& source, int64_t first,
                std::span<uint8_t* const> bodies) {
  const uint32_t offset = column.slot_offset;
  switch (source.width) {
    case 1:
      return StoreSlots<1>(source, first, bodies, offset);
    case 2:
      return StoreSlots<2>(source, first, bodies, offset);
    case 4:
      return StoreSlots<4>(source, first, bodies, offset);
    case 8:
      return StoreSlots<8>(source, first, bodies, offset);
    default:
      for (size_t i = 0; i < bodies.size(); ++i) {
        const uint8_t* value = source.values + (first + static_cast<int64_t>(i)) * source.width;
        std::memcpy(bodies[i] + offset, value, source.width);
      }
  }
}

// Null bits, and zeros in place of whatever Arrow has under a null, so that equal rows have equal
// bytes and nothing from outside reaches the disk by accident.
void StoreNulls(const LayoutColumn& column, const PhysicalColumn& source, int64_t first,
                std::span<uint8_t* const> bodies) {
  if (!source.all_null() && source.validity == nullptr) return;
  for (size_t i = 0; i < bodies.size(); ++i) {
    if (!source.IsNull(first + static_cast<int64_t>(i))) continue;
    SetBit(bodies[i], column.null_bit);
    if (!column.is_variable) std::memset(bodies[i] + column.slot_offset, 0, column.width);
  }
}

void StoreVariable(const RowLayout& layout, const std::vector<const PhysicalColumn*>& sources,
                   int64_t first, std::span<uint8_t* const> bodies) {
  for (size_t i = 0; i < bodies.size(); ++i) {
    uint8_t* ends = bodies[i] + layout.ends_offset();
    uint8_t* text = bodies[i] + layout.fixed_bytes;
    uint32_t end = 0;
    for (size_t v = 0; v < sources.size(); ++v) {
      const PhysicalColumn& source = *sources[v];
      const int64_t row = first + static_cast<int64_t>(i);
      if (!source.IsNull(row)) {
        const ByteSpan value = source.Value(row);
        if (!value.empty()) std::memcpy(text + end, value.data(), value.size());
        end += static_cast<uint32_t>(value.size());
      }
      StoreAs(ends + 4 * v, end);
    }
  }
}

}  // namespace

Status EncodeRows(const RowLayout& layout, const RowBatch& batch, int64_t first, int64_t count,
                  uint32_t gap_bytes, std::vector<uint8_t>* rows_out,
                  std::vector<uint64_t>* starts_out, std::vector<uint32_t>* sizes_out) {
  ARROW_RETURN_NOT_OK(
      PlaceRows(layout, batch, first, count, gap_bytes, rows_out, starts_out, sizes_out));
  std::vector<uint8_t*> bodies(static_cast<size_t>(count));
  const bool has_length = layout.key_width < 0;
  for (int64_t i = 0; i < count; ++i) {
    uint8_t* row = rows_out->data() + (*starts_out)[i];
    const uint32_t key_bytes = batch.keys->Size(first + i);
    if (has_length) {
      StoreAs(row, static_cast<uint16_t>(key_bytes));
      row += 2;
    }
    if (key_bytes != 0) std::memcpy(row, batch.keys->Data(first + i), key_bytes);
    bodies[i] = row + key_bytes;
    if (batch.tombstones != nullptr && batch.tombstones[first + i] != 0) {
      bodies[i][0] |= kTombstoneBit;
    }
    if (layout.time_offset >= 0) StoreAs(bodies[i] + layout.time_offset, batch.times_us[first + i]);
  }
  std::vector<const PhysicalColumn*> variable(layout.var_count);
  for (size_t c = 0; c < layout.columns.size(); ++c) {
    const LayoutColumn& column = layout.columns[c];
    const PhysicalColumn& source = batch.columns[c];
    if (column.encoding != format::Encoding::kPacked) continue;
    if (column.is_variable) {
      variable[column.var_index] = &source;
    } else if (!source.all_null()) {
      StoreFixed(column, source, first, bodies);
    }
    if (column.null_bit != 0) StoreNulls(column, source, first, bodies);
  }
  if (!variable.empty()) StoreVariable(layout, variable, first, bodies);
  return Status::OK();
}

}  // namespace fletching::segment
