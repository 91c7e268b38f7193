#include "segment/gather.h"

#include <algorithm>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fletching::segment {
namespace {

// Rows of a chunk stay in the first cache beside the outputs: 64 of one line each, or at least as
// many as fill a line of a column.
int64_t ChunkRows(const RowLayout& layout) {
  return std::clamp<int64_t>(4096 / std::max<int64_t>(layout.fixed_bytes, 1) / 16 * 16, 16, 64);
}

struct Slot {
  uint32_t offset;
  uint32_t width;
  uint8_t* target;
};

template <uint32_t kWidth>
void CopyColumn(const Slot& slot, const RowSelection& rows, int64_t begin, int64_t end) {
  if (rows.positions == nullptr) {
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(slot.target + i * kWidth, rows.bodies[i] + slot.offset, kWidth);
    }
    return;
  }
  for (int64_t i = begin; i < end; ++i) {
    std::memcpy(slot.target + int64_t{rows.positions[i]} * kWidth, rows.bodies[i] + slot.offset,
                kWidth);
  }
}

void CopyColumn(const Slot& slot, const RowSelection& rows, int64_t begin, int64_t end) {
  switch (slot.width) {
    case 1:
      return CopyColumn<1>(slot, rows, begin, end);
    case 2:
      return CopyColumn<2>(slot, rows, begin, end);
    case 4:
      return CopyColumn<4>(slot, rows, begin, end);
    case 8:
      return CopyColumn<8>(slot, rows, begin, end);
    default:
      for (int64_t i = begin; i < end; ++i) {
        std::memcpy(slot.target + rows.At(i) * slot.width, rows.bodies[i] + slot.offset,
                    slot.width);
      }
  }
}

// Whether slots[i .. i + count) lie side by side in the row, 4 bytes each.
bool AreNeighbours(const std::vector<Slot>& slots, size_t i, size_t count) {
  if (i + count > slots.size()) return false;
  for (size_t k = 0; k < count; ++k) {
    if (slots[i + k].width != 4 || slots[i + k].offset != slots[i].offset + 4 * k) return false;
  }
  return true;
}

// Four columns of four rows at a time: a 4 x 4 transposition. Answers in request order only.
void CopyFourColumns(const Slot* slots, const RowSelection& rows, int64_t begin, int64_t end) {
  int64_t i = begin;
#if defined(__SSE2__) && !defined(FLETCHING_NO_SIMD)
  const uint32_t offset = slots[0].offset;
  const auto load = [&](int64_t row) {
    return _mm_castsi128_ps(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows.bodies[row] + offset)));
  };
  for (; i + 4 <= end; i += 4) {
    __m128 a = load(i);
    __m128 b = load(i + 1);
    __m128 c = load(i + 2);
    __m128 d = load(i + 3);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    const __m128 columns[4] = {a, b, c, d};
    for (size_t k = 0; k < 4; ++k) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(slots[k].target + i * 4),
                       _mm_castps_si128(columns[k]));
    }
  }
#endif
  for (size_t k = 0; k < 4; ++k) CopyColumn<4>(slots[k], rows, i, end);
}

// The same for two: eight bytes a row, unzipped.
void CopyTwoColumns(const Slot* slots, const RowSelection& rows, int64_t begin, int64_t end) {
  int64_t i = begin;
#if defined(__SSE2__) && !defined(FLETCHING_NO_SIMD)
  const uint32_t offset = slots[0].offset;
  const auto load = [&](int64_t row) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows.bodies[row] + offset));
  };
  for (; i + 4 <= end; i += 4) {
    const __m128i low = _mm_unpacklo_epi32(load(i), load(i + 1));       // a0 a1 b0 b1
    const __m128i high = _mm_unpacklo_epi32(load(i + 2), load(i + 3));  // a2 a3 b2 b3
    _mm_storeu_si128(reinterpret_cast<__m128i*>(slots[0].target + i * 4),
                     _mm_unpacklo_epi64(low, high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(slots[1].target + i * 4),
                     _mm_unpackhi_epi64(low, high));
  }
#endif
  for (size_t k = 0; k < 2; ++k) CopyColumn<4>(slots[k], rows, i, end);
}

// Bytes of a body; empty: begin == end.
struct SlotRange {
  uint32_t begin = 0;
  uint32_t end = 0;
};

// From the first slot to the last where they are wanted nearly all and fill several lines: rows
// that have left the first cache since they were found, and come back in a row.
SlotRange DenseRange(const std::vector<Slot>& slots) {
  constexpr uint32_t kLineBytes = 64;
  if (slots.empty()) return {};
  SlotRange range{UINT32_MAX, 0};
  uint32_t wanted_bytes = 0;
  for (const Slot& slot : slots) {
    range.begin = std::min(range.begin, slot.offset);
    range.end = std::max(range.end, slot.offset + slot.width);
    wanted_bytes += slot.width;
  }
  const uint32_t bytes = range.end - range.begin;
  return bytes > kLineBytes && wanted_bytes * 2 > bytes ? range : SlotRange{};
}

void PrefetchRows(const RowSelection& rows, int64_t begin, int64_t end, SlotRange range) {
  constexpr uint32_t kLineBytes = 64;
  for (int64_t i = begin; i < end; ++i) {
    for (uint32_t at = range.begin; at < range.end; at += kLineBytes) {
      __builtin_prefetch(rows.bodies[i] + at, 0, 3);
    }
  }
}

bool AnyNull(const RowLayout& layout, const RowSelection& rows) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    bits |= rows.bodies[i][0] & static_cast<uint32_t>(~kTombstoneBit);
    for (uint32_t byte = 1; byte < layout.bits_bytes; ++byte) bits |= rows.bodies[i][byte];
  }
  return bits != 0;
}

}  // namespace

void GatherPackedColumns(const RowLayout& layout, std::span<const uint32_t> column_ids,
                         const RowSelection& rows, ColumnOutput* outputs) {
  std::vector<Slot> slots;
  std::vector<std::pair<const LayoutColumn*, ColumnOutput*>> texts;
  std::vector<std::pair<const LayoutColumn*, ColumnOutput*>> nullable;
  slots.reserve(column_ids.size());
  for (size_t i = 0; i < column_ids.size(); ++i) {
    const LayoutColumn* column = layout.Find(column_ids[i]);
    if (column == nullptr || column->encoding != format::Encoding::kPacked) continue;
    if (uint8_t* target = outputs[i].TargetFor(*column)) {
      slots.push_back({column->slot_offset, column->width, target});
    } else if (column->is_variable) {
      texts.emplace_back(column, &outputs[i]);
    } else {
      outputs[i].GatherConverted(*column, rows);
    }
    if (column->null_bit != 0) nullable.emplace_back(column, &outputs[i]);
  }
  const int64_t chunk_rows = ChunkRows(layout);
  const SlotRange dense = DenseRange(slots);
  for (int64_t begin = 0; begin < rows.count; begin += chunk_rows) {
    const int64_t end = std::min(begin + chunk_rows, rows.count);
    PrefetchRows(rows, end, std::min(end + chunk_rows, rows.count), dense);
    for (size_t i = 0; i < slots.size();) {
      if (rows.positions == nullptr && AreNeighbours(slots, i, 4)) {
        CopyFourColumns(&slots[i], rows, begin, end);
        i += 4;
      } else if (rows.positions == nullptr && AreNeighbours(slots, i, 2)) {
        CopyTwoColumns(&slots[i], rows, begin, end);
        i += 2;
      } else {
        CopyColumn(slots[i++], rows, begin, end);
      }
    }
    for (const auto& [column, output] : texts) {
      output->GatherText(layout, *column, rows, begin, end);
    }
  }
  if (nullable.empty() || !AnyNull(layout, rows)) return;
  for (const auto& [column, output] : nullable) output->GatherNulls(*column, rows);
}

}  // namespace fletching::segment
