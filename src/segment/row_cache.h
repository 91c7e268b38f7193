// Rows that are asked for again and again, of segments whose rows do not all fit into memory.
//
// Rows, not blocks: where few of the rows of a block are hot, a cache of blocks holds mostly cold
// ones. Sets of 8 KiB, each a small cache of its own with a lock of its own; a row's place decides
// its set. Within a set rows lie in the order in which they came, and when there is no room, the
// hand of a clock takes those that were not used since it last came by.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "segment/row_arena.h"

namespace fletching::segment {

// Threads: any. Its size never changes.
class RowCache {
 public:
  // Uses no more than `bytes`, and takes them as rows come. 0: keeps nothing.
  explicit RowCache(uint64_t bytes);
  ~RowCache();
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // segment_id: unique among segments of the process that use this cache. row: its address.
  void Prefetch(uint32_t segment_id, uint32_t row) const;
  // A copy of the row in the arena; empty when it is not here.
  ByteSpan Find(uint32_t segment_id, uint32_t row, RowArena* arena);
  // Copies. Does nothing for rows above 4 KiB, and for those that are here.
  void Add(uint32_t segment_id, uint32_t row, ByteSpan bytes);

  uint64_t size_bytes() const;

 private:
  struct Set;
  struct Place {
    Set* set;
    uint16_t tag;
  };
  Place PlaceOf(uint32_t segment_id, uint32_t row) const;

  Set* sets_ = nullptr;
  uint64_t set_count_ = 0;
};

}  // namespace fletching::segment
