// Which row of which source answers each key. Stage: locate.
// Newest source first; with event times every source is asked and the newest event kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "segment/keys.h"
#include "segment/locate.h"
#include "table/version.h"

namespace fletching::table {

// Working memory of a read, kept by each thread so that a read of 1,000 keys allocates nothing but
// its answer. Larger requests give theirs back.
struct LocateScratch {
  std::vector<uint64_t> hashes;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  std::vector<uint16_t> sources;  // index of the source a key's row was found in
  // Of the source being searched:
  std::vector<uint32_t> pending;
  std::vector<const uint8_t*> found_bodies;
  std::vector<uint32_t> found_rows;
  std::vector<uint32_t> touched;
  // Keys by partition: positions[starts[i] .. starts[i + 1]) are those of partition i.
  std::vector<uint64_t> partition_hashes;
  std::vector<uint32_t> positions;
  std::vector<uint32_t> starts;
  segment::RowArena arena;  // rows of cold segments, until the next read

  static constexpr size_t kKeptKeys = 64 * 1024;
  void Resize(size_t count) {
    hashes.resize(count);
    bodies.resize(count);
    rows.resize(count);
  }
  void Shrink() {
    if (hashes.size() > kKeptKeys) *this = LocateScratch();
  }
};

// Fills bodies, rows and sources of every key: the winning row, live or not.
// column_ids: of the columns that will be gathered, so that their memory is fetched meanwhile.
// Lifetime: version, keys, column_ids and scratch outlive it. Threads: one.
class Locator {
 public:
  Locator(const Version& version, const segment::KeyBatch& keys,
          std::span<const uint32_t> column_ids, LocateScratch* scratch)
      : version_(version), keys_(keys), column_ids_(column_ids), s_(*scratch) {}

  Status Run();

  // Keys that have a row, dead ones included.
  int64_t found_count() const { return found_count_; }
  // All rows found are of first_source(); scratch.sources is not filled then.
  bool is_one_source() const { return is_one_source_; }
  size_t first_source() const { return first_source_; }
  // Sources looked at, also when Run failed.
  std::span<const Source> searched() const {
    return std::span(version_.sources).subspan(first_source_, searched_count_);
  }

 private:
  segment::KeySelection Selection(size_t source);
  std::span<const uint32_t> Touched(const Source& source);
  // Where each key can only be in one segment, and which is known.
  bool IsPartitioned(size_t first) const;
  Status SearchPartitions(size_t first);
  void SortByPartition(uint32_t count);
  Status SearchRest(size_t source);
  Status SearchNewer(size_t source);
  void Take(size_t key, size_t source, size_t found);

  const Version& version_;
  const segment::KeyBatch& keys_;
  const std::span<const uint32_t> column_ids_;
  LocateScratch& s_;
  int64_t found_count_ = 0;
  bool is_one_source_ = false;
  size_t first_source_ = 0;
  size_t searched_count_ = 0;
};

}  // namespace fletching::table
