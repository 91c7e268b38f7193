#include "segment/index_builder.h"

#include <algorithm>
#include <array>

namespace fletching::segment {
namespace {

using format::IndexBucket;
using format::kBucketSlots;

// Keys per home bucket. 6 of 10 slots: one bucket in 25 overflows, an index costs 10.7 bytes a
// key, and a missing key looks at 1.04 cache lines (docs/decisions/0003-key-index.md).
constexpr uint64_t kKeysPerBucket = 6;
constexpr uint32_t kChunkEntriesMax = 512;

}  // namespace

// The buckets still being filled: from `base` on. Knows the full hashes, which the file does not
// keep, so only true twins cost a look at their rows.
class IndexBuilder::Window {
 public:
  Window(uint64_t home_bucket_count, const Resolver& resolve, std::vector<uint32_t>* dead_rows)
      : home_bucket_count_(home_bucket_count), resolve_(resolve), dead_rows_(dead_rows) {}

  Status Insert(uint64_t hash, uint32_t row) {
    for (uint64_t at = HomeBucket(hash, home_bucket_count_) - base_;; ++at) {
      if (at >= buckets_.size()) Grow(at + 1);
      IndexBucket& bucket = buckets_[at];
      for (uint32_t slot = 0; slot < bucket.used; ++slot) {
        if (hashes_[at][slot] != hash) continue;
        ARROW_ASSIGN_OR_RAISE(const Collision collision, resolve_(bucket.rows[slot], row));
        if (collision == Collision::kDifferentKeys) continue;
        dead_rows_->push_back(collision == Collision::kNewerWins ? bucket.rows[slot] : row);
        if (collision == Collision::kNewerWins) bucket.rows[slot] = row;
        return Status::OK();
      }
      if (bucket.used < kBucketSlots) {
        hashes_[at][bucket.used] = hash;
        bucket.tags[bucket.used] = static_cast<uint16_t>(hash);
        bucket.rows[bucket.used++] = row;
        return Status::OK();
      }
      bucket.overflowed = 1;
    }
  }

  // No later key has its home below `bucket`: hand out what lies there.
  Status EmitBelow(uint64_t bucket, const Sink& sink) {
    const size_t count = bucket - base_;
    if (count > buckets_.size()) Grow(count);
    ARROW_RETURN_NOT_OK(sink({buckets_.data(), count}));
    buckets_.erase(buckets_.begin(), buckets_.begin() + static_cast<ptrdiff_t>(count));
    hashes_.erase(hashes_.begin(), hashes_.begin() + static_cast<ptrdiff_t>(count));
    base_ = bucket;
    return Status::OK();
  }

  uint64_t end() const { return base_ + buckets_.size(); }

 private:
  void Grow(size_t count) {
    buckets_.resize(count, IndexBucket{});
    hashes_.resize(count);
  }

  const uint64_t home_bucket_count_;
  const Resolver& resolve_;
  std::vector<uint32_t>* const dead_rows_;
  uint64_t base_ = 0;
  std::vector<IndexBucket> buckets_;
  std::vector<std::array<uint64_t, kBucketSlots>> hashes_;
};

IndexBuilder::Chunk IndexBuilder::MakeChunk(uint32_t capacity) {
  Chunk chunk;
  chunk.capacity = capacity;
  if (scratch_ != nullptr && capacity == kChunkEntriesMax) {
    chunk.entries = reinterpret_cast<Entry*>(scratch_->Allocate(capacity * sizeof(Entry)));
  }
  if (chunk.entries == nullptr) {
    chunk.own = std::make_unique_for_overwrite<Entry[]>(capacity);
    chunk.entries = chunk.own.get();
  }
  return chunk;
}

void IndexBuilder::Add(uint64_t hash, uint32_t row) {
  Partition& partition = partitions_[hash >> (64 - kPartitionBits)];
  if (partition.empty() || partition.back().count == partition.back().capacity) {
    partition.push_back(MakeChunk(
        partition.empty() ? 4 : std::min(kChunkEntriesMax, 4 * partition.back().capacity)));
  }
  Chunk& chunk = partition.back();
  chunk.entries[chunk.count++] = {static_cast<uint32_t>(hash), static_cast<uint32_t>(hash >> 32),
                                  row};
  ++count_;
}

Result<IndexBuilder::Shape> IndexBuilder::Finish(const Resolver& resolve, const Sink& sink) {
  Shape shape;
  shape.home_bucket_count =
      std::max<uint64_t>(1, (static_cast<uint64_t>(count_) + kKeysPerBucket - 1) / kKeysPerBucket);
  Window window(shape.home_bucket_count, resolve, &shape.dead_rows);
  for (size_t p = 0; p < partitions_.size(); ++p) {
    for (Chunk& chunk : partitions_[p]) {
      for (const Entry& entry : std::span(chunk.entries, chunk.count)) {
        const uint64_t hash = (static_cast<uint64_t>(entry.hash_high) << 32) | entry.hash_low;
        ARROW_RETURN_NOT_OK(window.Insert(hash, entry.row));
      }
      chunk = Chunk{};
    }
    if (p + 1 < partitions_.size()) {
      const uint64_t next_hash = static_cast<uint64_t>(p + 1) << (64 - kPartitionBits);
      ARROW_RETURN_NOT_OK(window.EmitBelow(HomeBucket(next_hash, shape.home_bucket_count), sink));
    }
  }
  shape.bucket_count = std::max(window.end(), shape.home_bucket_count);
  ARROW_RETURN_NOT_OK(window.EmitBelow(shape.bucket_count, sink));
  std::sort(shape.dead_rows.begin(), shape.dead_rows.end());
  return shape;
}

}  // namespace fletching::segment
