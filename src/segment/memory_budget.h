// What of an engine's segments is kept in memory when not all of it fits.
//
// Key indexes first, and what else a look-up needs besides rows. Of the rest, segments are kept
// whole, the smallest first, in at most half of the room; in what is left, rows that are used
// (RowCache). Rows of the other segments, the cold ones, are read from the disk, all that a look-up
// needs at once (io/piece_reader.h). While everything fits, nothing is cold, and a look-up costs
// what it costs without a budget.
// On top come requests under way, and 4 MiB for each thread that reads cold rows.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "fletching/request.h"

#include "io/piece_reader.h"
#include "segment/row_cache.h"

namespace fletching {
class Counter;
class Metrics;
}  // namespace fletching

namespace fletching::segment {

class SegmentReader;

// Threads: any. Lifetime: kept by the segments that belong to it.
class MemoryBudget {
 public:
  // metrics may be null. allow_uring: false for tests and comparisons.
  // write_bytes: of the budget, for rows that are in no segment yet.
  MemoryBudget(int64_t budget_bytes, int64_t write_bytes, Metrics* metrics,
               bool allow_uring = true);
  ~MemoryBudget();

  // By segments that open and close. -> an id for the row cache.
  uint32_t Add(const SegmentReader* segment);
  void Remove(const SegmentReader* segment);

  std::shared_ptr<RowCache> row_cache() const;
  io::PieceReader& pieces() { return pieces_; }
  void CountRows(int64_t cached, int64_t read);

  MemoryUsage usage() const;

 private:
  void Balance();

  const int64_t kept_bytes_;  // of the budget, for other things than segments
  io::PieceReader pieces_;
  const std::shared_ptr<Counter> cached_rows_;
  const std::shared_ptr<Counter> read_rows_;
  mutable std::mutex mutex_;
  std::vector<const SegmentReader*> segments_;
  std::shared_ptr<RowCache> row_cache_;
  MemoryUsage usage_;
  uint32_t next_id_ = 1;
};

}  // namespace fletching::segment
