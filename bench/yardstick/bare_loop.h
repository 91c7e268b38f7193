// The bare loop: the least work that finds the rows of a batch of keys and copies their floats into
// columns.
//
// It is a yardstick, not a store: one table built in memory, nothing on disk, no versions, no
// nulls, no deletes. The engine's read is compared with it, so it is as fast as a plain loop could
// be made here. A benchmark may include this header to take turns with it in one process.
//
//   slots   {u32 tag, u32 row}[8]   one 64-byte line; open addressing from line to line, tag 0 =
//   empty,
//                                   a line fills from its first slot, so an empty last slot ends a
//                                   search
//   rows    u32 key length | key, padded to 4 | float32[columns] | padding to a multiple of 64
//   bytes
//
// Read: hash (XXH3-64) -> probe one line -> compare the whole key -> gather; each a loop over a
// block of keys, so that the memory of a block is on its way while its neighbours are worked on.
#pragma once

#define XXH_INLINE_ALL
#include <cerrno>
#include <cstring>
#include <emmintrin.h>
#include <limits>
#include <sys/mman.h>

#include <xxhash.h>

#include "measure.h"

namespace yardstick {

constexpr uint32_t kNoRow = 0xFFFFFFFFu;
constexpr int64_t kLineBytes = 64;
constexpr int64_t kSlotsPerLine = 8;

struct Slot {
  uint32_t tag;  // low half of the key's hash, never 0 in a filled slot
  uint32_t row;
};
static_assert(sizeof(Slot) * kSlotsPerLine == kLineBytes);

// Keys as an Arrow string array holds them: offsets[count + 1] into bytes.
struct KeyBatch {
  const int32_t* offsets;
  const char* bytes;
  int64_t count;

  const char* Data(int64_t i) const { return bytes + offsets[i]; }
  size_t Size(int64_t i) const { return static_cast<size_t>(offsets[i + 1] - offsets[i]); }
};

// Anonymous memory, zeroed, aligned to 2 MiB, with huge pages asked for or refused. Freed with the
// process.
inline char* MapAnonymous(int64_t bytes, bool huge_pages) {
  constexpr int64_t kHugeBytes = int64_t{2} << 20;
  const size_t mapped_bytes = static_cast<size_t>(bytes + kHugeBytes);
  void* mapped =
      mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) {
    Fail("cannot map " + std::to_string(bytes >> 20) + " MiB: " + std::strerror(errno) +
         "; try fewer --rows");
  }
  const uintptr_t aligned =
      (reinterpret_cast<uintptr_t>(mapped) + kHugeBytes - 1) & ~uintptr_t{kHugeBytes - 1};
  char* memory = reinterpret_cast<char*>(aligned);
  if (madvise(memory, static_cast<size_t>(bytes), huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) !=
      0) {
    std::fprintf(stderr, "warning: madvise: %s; the pages are whatever the kernel chooses\n",
                 std::strerror(errno));
  }
  return memory;
}

struct BareTable {
  static constexpr int64_t kKeyOffset = 4;

  int64_t row_count = 0;
  int64_t row_bytes = 0;      // stride: a multiple of 64
  int64_t values_offset = 0;  // bytes from the start of a row to its first float
  uint64_t line_count = 0;
  char* rows = nullptr;
  Slot* slots = nullptr;
  const char* missing_row = nullptr;  // NaN in every column, key length 0: what an absent key reads

  // load: filled slots / slots, at most 2/3. Rows and slots start empty; Insert fills them in row
  // order.
  BareTable(int64_t rows_wanted, int64_t key_bytes, int64_t columns, double load, bool huge_pages)
      : row_count(rows_wanted) {
    if (rows_wanted >= int64_t{kNoRow}) Fail("--rows does not fit the 32-bit row number of a slot");
    values_offset = kKeyOffset + (key_bytes + 3) / 4 * 4;
    row_bytes = (values_offset + columns * 4 + kLineBytes - 1) / kLineBytes * kLineBytes;
    line_count = static_cast<uint64_t>(static_cast<double>(rows_wanted) / load / kSlotsPerLine) + 1;
    rows = MapAnonymous(row_count * row_bytes, huge_pages);
    slots = reinterpret_cast<Slot*>(MapAnonymous(SlotBytes(), huge_pages));
    char* missing = MapAnonymous(row_bytes, false);
    for (int64_t column = 0; column < columns; ++column) {
      const float nan = std::numeric_limits<float>::quiet_NaN();
      std::memcpy(missing + values_offset + column * 4, &nan, 4);
    }
    missing_row = missing;
  }

  int64_t SlotBytes() const { return static_cast<int64_t>(line_count) * kLineBytes; }
  char* Row(uint32_t row) const { return rows + int64_t{row} * row_bytes; }
  uint64_t HomeLine(uint64_t hash) const { return ((hash >> 32) * line_count) >> 32; }
  const Slot* Line(uint64_t line) const { return slots + line * kSlotsPerLine; }
  static uint32_t Tag(uint64_t hash) {
    const uint32_t tag = static_cast<uint32_t>(hash);
    return tag == 0 ? 1 : tag;
  }

  // Writes the key into its row and a slot. The caller writes the floats, and never inserts a key
  // twice.
  void Insert(uint32_t row, const char* key, size_t key_size) {
    const uint32_t size = static_cast<uint32_t>(key_size);
    std::memcpy(Row(row), &size, 4);
    std::memcpy(Row(row) + kKeyOffset, key, key_size);
    const uint64_t hash = XXH3_64bits(key, key_size);
    for (uint64_t line = HomeLine(hash);; line = line + 1 == line_count ? 0 : line + 1) {
      Slot* slot = slots + line * kSlotsPerLine;
      for (int64_t i = 0; i < kSlotsPerLine; ++i) {
        if (slot[i].tag != 0) continue;
        slot[i] = {Tag(hash), row};
        return;
      }
    }
  }

  // Compares the whole key. 8 to 16 bytes take two overlapping words; the rest goes to memcmp.
  static bool HoldsKey(const char* row, const char* key, size_t key_size) {
    uint32_t size;
    std::memcpy(&size, row, 4);
    if (size != key_size) return false;
    const char* held = row + kKeyOffset;
    if (key_size < 8 || key_size > 16) return std::memcmp(held, key, key_size) == 0;
    uint64_t held_head, held_tail, key_head, key_tail;
    std::memcpy(&held_head, held, 8);
    std::memcpy(&held_tail, held + key_size - 8, 8);
    std::memcpy(&key_head, key, 8);
    std::memcpy(&key_tail, key + key_size - 8, 8);
    return ((held_head ^ key_head) | (held_tail ^ key_tail)) == 0;
  }

  // The first row whose tag fits, its key not yet compared; kNoRow when no tag does.
  uint32_t Probe(uint64_t hash) const {
    const __m128i tag = _mm_set1_epi32(static_cast<int>(Tag(hash)));
    for (uint64_t line = HomeLine(hash);; line = line + 1 == line_count ? 0 : line + 1) {
      const Slot* slot = Line(line);
      const __m128* quarters = reinterpret_cast<const __m128*>(slot);
      const __m128i low = _mm_castps_si128(_mm_shuffle_ps(quarters[0], quarters[1], 0x88));
      const __m128i high = _mm_castps_si128(_mm_shuffle_ps(quarters[2], quarters[3], 0x88));
      const __m128i same = _mm_packs_epi32(_mm_cmpeq_epi32(low, tag), _mm_cmpeq_epi32(high, tag));
      const unsigned found =
          static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(same, same))) & 0xFF;
      if (__builtin_expect(found != 0, 1)) return slot[__builtin_ctz(found)].row;
      if (__builtin_expect(slot[kSlotsPerLine - 1].tag != 0, 0)) continue;
      return kNoRow;
    }
  }

  // Compares every key whose tag fits, one by one: for the one key in billions whose first fit was
  // a stranger.
  __attribute__((noinline)) const char* FindSlowly(uint64_t hash, const char* key,
                                                   size_t key_size) const {
    for (uint64_t line = HomeLine(hash);; line = line + 1 == line_count ? 0 : line + 1) {
      const Slot* slot = Line(line);
      for (int64_t i = 0; i < kSlotsPerLine; ++i) {
        if (slot[i].tag == 0) return missing_row;
        if (slot[i].tag == Tag(hash) && HoldsKey(Row(slot[i].row), key, key_size))
          return Row(slot[i].row);
      }
    }
  }

  // The row of the key, given what Probe found.
  const char* Verify(uint32_t candidate, uint64_t hash, const char* key, size_t key_size) const {
    const char* row = candidate == kNoRow ? missing_row : Row(candidate);
    const bool stranger = !HoldsKey(row, key, key_size) & (candidate != kNoRow);
    return __builtin_expect(stranger, 0) ? FindSlowly(hash, key, key_size) : row;
  }
};

// How the loop is arranged; the sweep tries them all. Every shape gives the same bytes.
enum class Shape {
  kStages,   // hash every key, then probe every key, then gather every key
  kRolling,  // one key at a time: hash key i, probe key i - distance, gather key i - 2 distances
  kBlocks,   // the three stages over blocks of `distance` keys, each stage one block behind the one
             // before
  kBlocksTransposed,  // kBlocks, four rows at a time through registers (neighbouring columns only)
};

inline const char* Name(Shape shape) {
  switch (shape) {
    case Shape::kStages:
      return "stages";
    case Shape::kRolling:
      return "rolling";
    case Shape::kBlocks:
      return "blocks";
    case Shape::kBlocksTransposed:
      return "blocks-transposed";
  }
  return "?";
}

// Reads some float columns of a batch of keys, again and again, into the same memory. One thread.
class BareReader {
 public:
  // columns: which to read, ascending. keys_max: the largest batch.
  BareReader(const BareTable& table, const std::vector<int64_t>& columns, int64_t keys_max)
      : table_(table),
        hashes_(static_cast<size_t>(keys_max)),
        found_(static_cast<size_t>(keys_max)) {
    neighbours_ = columns.size() == kTen;
    line_offsets_.push_back(0);
    for (size_t i = 0; i < columns.size(); ++i) {
      const int64_t offset = table.values_offset + columns[i] * 4;
      value_offsets_.push_back(offset);
      if (offset / kLineBytes * kLineBytes != line_offsets_.back()) {
        line_offsets_.push_back(offset / kLineBytes * kLineBytes);
      }
      neighbours_ = neighbours_ && columns[i] == columns[0] + static_cast<int64_t>(i);
    }
    // Columns a whole number of pages apart would fight for the same sets of the first cache: 60
    // us, not 25.
    const int64_t spacing_bytes = (keys_max * 4 + 4095) / 4096 * 4096 + 6 * kLineBytes;
    char* memory = MapAnonymous(spacing_bytes * static_cast<int64_t>(columns.size()), false);
    for (size_t i = 0; i < columns.size(); ++i) {
      outputs_.push_back(
          reinterpret_cast<float*>(memory + spacing_bytes * static_cast<int64_t>(i)));
    }
  }

  const std::vector<float*>& Outputs() const { return outputs_; }
  bool Transposes() const { return neighbours_; }
  int64_t LinesPerRow() const { return static_cast<int64_t>(line_offsets_.size()); }

  // Fills Outputs()[column][i] with the value of keys[i], NaN where the table does not hold the
  // key.
  void Read(const KeyBatch& keys, Shape shape, int64_t distance) {
    switch (shape) {
      case Shape::kStages:
        return ReadBlocks(keys, keys.count, false);
      case Shape::kRolling:
        return ReadRolling(keys, distance);
      case Shape::kBlocks:
        return ReadBlocks(keys, distance, false);
      case Shape::kBlocksTransposed:
        return ReadBlocks(keys, distance, true);
    }
  }

 private:
  static constexpr size_t kTen = 10;  // the common case: known when compiled, so the gather unrolls

  void ReadBlocks(const KeyBatch& keys, int64_t block, bool transpose) {
    for (int64_t begin = 0; begin < keys.count + 2 * block; begin += block) {
      Hash(keys, begin, begin + block);
      Probe(keys, begin - block, begin);
      if (transpose) {
        GatherTransposed(keys, begin - 2 * block, begin - block);
      } else {
        Gather(keys, begin - 2 * block, begin - block);
      }
    }
  }

  void ReadRolling(const KeyBatch& keys, int64_t distance) {
    for (int64_t i = 0; i < keys.count + 2 * distance; ++i) {
      Hash(keys, i, i + 1);
      Probe(keys, i - distance, i - distance + 1);
      Gather(keys, i - 2 * distance, i - 2 * distance + 1);
    }
  }

  void Hash(const KeyBatch& keys, int64_t begin, int64_t end) {
    end = std::min(end, keys.count);
    uint64_t* hashes = hashes_.data();
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t hash = XXH3_64bits(keys.Data(i), keys.Size(i));
      hashes[i] = hash;
      _mm_prefetch(reinterpret_cast<const char*>(table_.Line(table_.HomeLine(hash))), _MM_HINT_T0);
    }
  }

  void Probe(const KeyBatch& keys, int64_t begin, int64_t end) {
    if (begin < 0) return;
    end = std::min(end, keys.count);
    if (line_offsets_.size() == 1) {
      for (int64_t i = begin; i < end; ++i)
        ProbeOne(i, [](const char* row) { _mm_prefetch(row, _MM_HINT_T0); });
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      ProbeOne(i, [this](const char* row) {
        for (const int64_t offset : line_offsets_) _mm_prefetch(row + offset, _MM_HINT_T0);
      });
    }
  }

  template <typename Prefetch>
  void ProbeOne(int64_t i, Prefetch prefetch) {
    const uint32_t row = table_.Probe(hashes_[static_cast<size_t>(i)]);
    found_[static_cast<size_t>(i)] = row;
    prefetch(row == kNoRow ? table_.missing_row : table_.Row(row));
  }

  const char* RowOf(const KeyBatch& keys, int64_t i) const {
    const size_t at = static_cast<size_t>(i);
    return table_.Verify(found_[at], hashes_[at], keys.Data(i), keys.Size(i));
  }

  void Gather(const KeyBatch& keys, int64_t begin, int64_t end) {
    if (begin < 0) return;
    end = std::min(end, keys.count);
    if (neighbours_) {
      GatherColumns<true>(keys, begin, end, kTen);
    } else if (value_offsets_.size() == kTen) {
      GatherColumns<false>(keys, begin, end, kTen);
    } else {
      GatherColumns<false>(keys, begin, end, value_offsets_.size());
    }
  }

  template <bool kNeighbours>
  __attribute__((always_inline)) void GatherColumns(const KeyBatch& keys, int64_t begin,
                                                    int64_t end, size_t columns) {
    const int64_t* offsets = value_offsets_.data();
    float* const* outputs = outputs_.data();
    for (int64_t i = begin; i < end; ++i) {
      const char* row = RowOf(keys, i);
      for (size_t c = 0; c < columns; ++c) {
        const int64_t offset = kNeighbours ? offsets[0] + static_cast<int64_t>(c) * 4 : offsets[c];
        std::memcpy(outputs[c] + i, row + offset, 4);
      }
    }
  }

  // Ten neighbouring columns: two 4 x 4 transpositions and a 2-wide rest for every four rows.
  void GatherTransposed(const KeyBatch& keys, int64_t begin, int64_t end) {
    if (begin < 0) return;
    end = std::min(end, keys.count);
    const int64_t first = value_offsets_[0];
    float* const* outputs = outputs_.data();
    for (; begin + 4 <= end; begin += 4) {
      const char* rows[4];
      for (int64_t r = 0; r < 4; ++r) rows[r] = RowOf(keys, begin + r) + first;
      Transpose4(rows, 0, outputs, begin);
      Transpose4(rows, 4, outputs, begin);
      for (size_t c = 8; c < kTen; ++c) {
        for (int64_t r = 0; r < 4; ++r) std::memcpy(outputs[c] + begin + r, rows[r] + c * 4, 4);
      }
    }
    Gather(keys, begin, end);
  }

  static void Transpose4(const char* const* rows, size_t column, float* const* outputs, int64_t i) {
    __m128 a = _mm_loadu_ps(reinterpret_cast<const float*>(rows[0]) + column);
    __m128 b = _mm_loadu_ps(reinterpret_cast<const float*>(rows[1]) + column);
    __m128 c = _mm_loadu_ps(reinterpret_cast<const float*>(rows[2]) + column);
    __m128 d = _mm_loadu_ps(reinterpret_cast<const float*>(rows[3]) + column);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(outputs[column] + i, a);
    _mm_storeu_ps(outputs[column + 1] + i, b);
    _mm_storeu_ps(outputs[column + 2] + i, c);
    _mm_storeu_ps(outputs[column + 3] + i, d);
  }

  const BareTable& table_;
  bool neighbours_ = false;
  std::vector<int64_t> value_offsets_;  // bytes into a row, one per column read
  std::vector<int64_t> line_offsets_;   // bytes into a row of every cache line a read touches
  std::vector<float*> outputs_;
  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> found_;
};

}  // namespace yardstick
