// What the locate stage passes to the gather stage, and the index probe both kinds of rows share.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "base/bytes.h"
#include "format/segment_layout.h"
#include "segment/keys.h"
#include "segment/row_arena.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fletching::segment {

// Keys still to be found: all of a batch, or those at `positions`.
struct KeySelection {
  const KeyBatch* keys = nullptr;
  uint64_t* hashes = nullptr;  // [keys->count]
  uint64_t hash_seed = 0;
  bool is_hashed = false;                    // false: the source that searches first fills `hashes`
  std::span<const uint32_t> positions = {};  // into keys; empty with is_all
  bool is_all = true;
  // Body offsets that will be gathered from rows of more than one cache line: fetched with the row.
  std::span<const uint32_t> touched = {};
  // Where rows go that have no place in memory. Null: they are read through the mapping, however
  // slowly.
  RowArena* arena = nullptr;
  // Background work: what it finds is not used, so it does not belong into the row cache.
  bool is_background = false;

  int64_t count() const { return is_all ? keys->count : static_cast<int64_t>(positions.size()); }
  int64_t At(int64_t i) const { return is_all ? i : positions[static_cast<size_t>(i)]; }
};

// Rows of one source, found or scanned, in the order of the answer.
struct RowSelection {
  const uint8_t* const* bodies = nullptr;  // [count]
  const uint32_t* rows = nullptr;          // [count] row addresses; only sparse columns look
  const uint32_t* positions = nullptr;     // [count] row of the answer; null = 0, 1, 2 ...
  int64_t count = 0;

  int64_t At(int64_t i) const { return positions != nullptr ? positions[i] : i; }
};

inline bool KeysEqual(const uint8_t* a, const uint8_t* b, uint32_t size) {
  if (size >= 8) {
    uint32_t at = 0;
    for (; at + 8 < size; at += 8) {
      if (LoadAs<uint64_t>(a + at) != LoadAs<uint64_t>(b + at)) return false;
    }
    return LoadAs<uint64_t>(a + size - 8) == LoadAs<uint64_t>(b + size - 8);
  }
  if (size >= 4) {
    return LoadAs<uint32_t>(a) == LoadAs<uint32_t>(b) &&
           LoadAs<uint32_t>(a + size - 4) == LoadAs<uint32_t>(b + size - 4);
  }
  for (uint32_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// Bit i set: slot i of the bucket is used and carries this tag.
inline uint32_t MatchTags(const format::IndexBucket& bucket, uint16_t tag) {
  // Bounded, since a damaged bucket may claim more slots than there are.
  const uint32_t used =
      ((uint32_t{1} << (bucket.used & 31)) - 1) & ((uint32_t{1} << format::kBucketSlots) - 1);
#if defined(__SSE2__) && !defined(FLETCHING_NO_SIMD)
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
  // The second load runs on into `used` and `rows`; those lanes are masked out.
  const auto* tags = reinterpret_cast<const __m128i*>(bucket.tags);
  const __m128i low = _mm_cmpeq_epi16(_mm_load_si128(tags), wanted);
  const __m128i high = _mm_cmpeq_epi16(_mm_load_si128(tags + 1), wanted);
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high))) & used;
#else
  uint32_t matches = 0;
  for (uint32_t i = 0; i < format::kBucketSlots; ++i) {
    matches |= static_cast<uint32_t>(bucket.tags[i] == tag) << i;
  }
  return matches & used;
#endif
}

}  // namespace fletching::segment
