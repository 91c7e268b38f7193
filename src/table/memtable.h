// The newest rows of a table, in memory: what the log holds and no segment yet. Stages: publish
// (one writer inserts) and locate (any number of readers, no lock).
//
// Rows lie in one arena, each behind a RowPrefix, in the table's full layout, and never move or
// change. A hash table of 8-byte slots points to the newest row of each key; a row points to the
// older row it replaced, so a reader of an older commit walks back to the row it may see.
// Does not know logs, segments or versions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "segment/locate.h"
#include "segment/row_layout.h"

namespace fletching::table {

class Memtable {
 public:
  // capacity_bytes is address space, touched only as rows come.
  // event_time_index: column of the layout whose value decides, or -1 = the later row.
  Memtable(segment::RowLayout layout, uint64_t hash_seed, int32_t event_time_index,
           uint64_t capacity_bytes);
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  // Whether rows of this size, prefixes and padding included, can still come in.
  bool Fits(uint64_t bytes, uint64_t row_count) const;

  // rows: (RowPrefix, row) pairs, each padded to 8 bytes, as EncodeRows lays them out. Copies them
  // in and gives them `commit`; readers of earlier commits do not see them.
  // Errors: kCorruption when a row does not parse (rows come from a log). Threads: one writer.
  Status Insert(ByteSpan rows, uint64_t commit, const std::string& origin);

  // As SegmentReader::Find, among rows of commits up to `commit`.
  int64_t Find(const segment::KeySelection& keys, uint64_t commit, const uint8_t** bodies_out,
               uint32_t* rows_out) const;

  // Rows that are the visible ones of their key at `commit`; *cursor starts at 0 and is
  // UINT64_MAX at the end. At most `limit` rows.
  void Scan(uint64_t commit, uint64_t* cursor, int64_t limit, std::vector<ByteSpan>* keys_out,
            std::vector<const uint8_t*>* bodies_out, std::vector<uint32_t>* rows_out) const;

  const segment::RowLayout& layout() const { return layout_; }
  uint64_t row_count() const { return row_count_.load(std::memory_order_relaxed); }
  uint64_t used_bytes() const { return used_bytes_.load(std::memory_order_acquire); }
  // About the bytes of keys and variable-length values.
  uint64_t VaryingBytes() const;
  uint64_t key_count() const { return key_count_.load(std::memory_order_relaxed); }

 private:
  void UseLargePages();
  uint32_t FindRow(ByteSpan key, uint64_t hash, uint64_t commit) const;
  void Link(uint32_t row, uint64_t hash);  // row: in the arena already
  segment::RowView ViewOf(uint32_t row) const;
  int64_t EventTime(const uint8_t* body) const;

  const segment::RowLayout layout_;
  const uint64_t hash_seed_;
  const int32_t event_time_index_;
  const uint64_t capacity_bytes_;
  const uint64_t slot_count_;  // a power of two
  bool uses_large_pages_ = false;
  uint8_t* arena_ = nullptr;
  std::atomic<uint64_t>* slots_ = nullptr;  // high half: tag, low half: row; 0 = empty
  std::atomic<uint64_t> used_bytes_;
  std::atomic<uint64_t> row_count_{0};
  std::atomic<uint64_t> key_count_{0};
};

}  // namespace fletching::table
