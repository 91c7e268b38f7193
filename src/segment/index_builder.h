// Builds the key index of a segment from (hash, row address) pairs. Stage: seal.
//
// Pairs are kept by the high bits of their hash (12 bytes each) and turned into buckets range by
// range, so building never misses the cache and needs no second copy of the index in memory.
// With scratch memory all but the first few hundred of each range may leave memory meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "fletching/status.h"

#include "format/segment_layout.h"
#include "io/scratch_memory.h"

namespace fletching::segment {

class IndexBuilder {
 public:
  // What to do with two rows of equal hash.
  enum class Collision : uint8_t { kDifferentKeys, kNewerWins, kOlderWins };
  using Resolver = std::function<Result<Collision>(uint32_t older_row, uint32_t newer_row)>;
  using Sink = std::function<Status(std::span<const format::IndexBucket>)>;

  // scratch: null for private memory, which is also what a full disk leads to.
  explicit IndexBuilder(std::unique_ptr<io::ScratchMemory> scratch = nullptr)
      : scratch_(std::move(scratch)) {}

  void Add(uint64_t hash, uint32_t row);
  int64_t size() const { return count_; }

  struct Shape {
    uint64_t home_bucket_count = 0;
    uint64_t bucket_count = 0;
    std::vector<uint32_t> dead_rows;  // losers of collisions, ascending
  };
  // Hands the buckets to `sink` in order. Pairs are resolved in the order they were added.
  Result<Shape> Finish(const Resolver& resolve, const Sink& sink);

 private:
  static constexpr int kPartitionBits = 10;
  struct Entry {
    uint32_t hash_low;
    uint32_t hash_high;
    uint32_t row;
  };
  // Grows by chunks: a doubling vector would need twice the memory at its worst moment.
  struct Chunk {
    std::unique_ptr<Entry[]> own;  // null in scratch memory
    Entry* entries = nullptr;
    uint32_t count = 0;
    uint32_t capacity = 0;
  };
  using Partition = std::vector<Chunk>;
  class Window;
  Chunk MakeChunk(uint32_t capacity);

  std::unique_ptr<io::ScratchMemory> scratch_;

  std::vector<Partition> partitions_{size_t{1} << kPartitionBits};
  int64_t count_ = 0;
};

// Bucket where the search for a hash begins.
inline uint64_t HomeBucket(uint64_t hash, uint64_t home_bucket_count) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * home_bucket_count) >> 64);
}

}  // namespace fletching::segment
