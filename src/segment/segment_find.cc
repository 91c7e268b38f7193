// Finding keys in a segment: the loop that everything else here exists for. Stage: locate.
#include <algorithm>
#include <bit>

#include "segment/index_builder.h"
#include "segment/segment_reader.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace fletching::segment {
namespace {

using format::IndexBucket;

// Candidate rows between the probe and the comparison.
constexpr uint32_t kNoRow = UINT32_MAX;        // the index says the key is absent
constexpr uint32_t kFollowChain = kNoRow - 1;  // its bucket overflowed: look further

// Keys handled together: while one group's buckets are fetched, the group before it is probed and
// the one before that compared. Distances from 16 to 128 measure alike (docs/performance.md).
constexpr int64_t kGroup = 24;

inline void Prefetch(const void* address) { __builtin_prefetch(address, 0, 3); }

// The keys of a batch in registers: a store through another pointer cannot have changed them.
template <bool kHasOffsets>
struct KeyView {
  explicit KeyView(const KeyBatch& batch)
      : bytes(batch.bytes), offsets(batch.offsets), width(batch.width) {}
  const uint8_t* Data(int64_t at) const {
    return kHasOffsets ? bytes + offsets[at] : bytes + at * width;
  }
  uint32_t Size(int64_t at) const {
    return kHasOffsets ? static_cast<uint32_t>(offsets[at + 1] - offsets[at])
                       : static_cast<uint32_t>(width);
  }
  const uint8_t* const bytes;
  const int32_t* const offsets;
  const int32_t width;
};

}  // namespace

// The row block of a segment in registers.
struct SegmentReader::RowBlock {
  explicit RowBlock(const SegmentReader& reader)
      : rows(reader.rows_),
        row_bytes(reader.footer_.row_bytes),
        unit(reader.layout_.unit_bytes),
        fixed_bytes(uint64_t{reader.layout_.key_prefix_bytes()} + reader.layout_.fixed_bytes),
        key_width(reader.layout_.key_width) {}

  // The body when the row at this address has this key, else nullptr.
  const uint8_t* Match(uint32_t row, const uint8_t* key, uint32_t key_bytes) const {
    const uint64_t offset = row * unit;
    // A longer key than the last row's: it cannot be this row, for no row is shorter than its
    // layout.
    if (offset + fixed_bytes + key_bytes > row_bytes) return nullptr;
    const uint8_t* at = rows + offset;
    if (key_width < 0) {
      if (LoadAs<uint16_t>(at) != key_bytes) return nullptr;
      at += 2;
    } else if (static_cast<int32_t>(key_bytes) != key_width) {
      return nullptr;
    }
    return KeysEqual(at, key, key_bytes) ? at + key_bytes : nullptr;
  }

  const uint8_t* const rows;
  const uint64_t row_bytes;
  const uint64_t unit;
  const uint64_t fixed_bytes;
  const int32_t key_width;
};

// Match among blocks that may not be verified yet.
Result<const uint8_t*> SegmentReader::MatchVerified(uint32_t row, ByteSpan key) const {
  const RowBlock block(*this);
  const uint64_t offset = row * block.unit;
  const uint64_t needed = block.fixed_bytes + key.size();
  if (offset + needed > block.row_bytes) return nullptr;
  if (!IsVerified(footer_.row_offset + offset, needed)) {
    ARROW_RETURN_NOT_OK(VerifyRange(footer_.row_offset + offset, needed));
  }
  return block.Match(row, key.data(), static_cast<uint32_t>(key.size()));
}

// The variable-length part lies inside the row block.
Status SegmentReader::CheckTail(const uint8_t* body) const {
  const auto tail = LoadAs<uint32_t>(body + layout_.fixed_bytes - 4);
  const auto at = static_cast<uint64_t>(body - rows_) + layout_.fixed_bytes;
  if (tail > footer_.row_bytes - at) {
    return Corruption(file_->path(), footer_.row_offset + at, "text of a row leaves the row block");
  }
  return tail == 0 ? Status::OK() : VerifyRange(footer_.row_offset + at, tail);
}

// What a search for this key would look at next and is not here. Followed as far as bytes are here:
// what is behind a missing bucket or row shows in the next round.
void SegmentReader::AddNeeds(ByteSpan key, uint64_t hash, std::vector<uint64_t>* blocks) const {
  const RowBlock block(*this);
  const auto key_bytes = static_cast<uint32_t>(key.size());
  for (uint64_t at = HomeBucket(hash, footer_.home_bucket_count); at < footer_.bucket_count; ++at) {
    const uint64_t bucket_offset = footer_.index_offset + at * sizeof(IndexBucket);
    if (AddUnverified(bucket_offset, sizeof(IndexBucket), blocks)) return;
    const IndexBucket& bucket = buckets_[at];
    bool is_waiting = false;
    for (uint32_t matches = MatchTags(bucket, static_cast<uint16_t>(hash)); matches != 0;
         matches &= matches - 1) {
      const uint32_t row = bucket.rows[std::countr_zero(matches)];
      const uint64_t offset = row * block.unit;
      const uint64_t needed = block.fixed_bytes + key_bytes;
      if (offset + needed > block.row_bytes) continue;
      if (AddUnverified(footer_.row_offset + offset, needed, blocks)) {
        is_waiting = true;
        continue;
      }
      const uint8_t* const body = block.Match(row, key.data(), key_bytes);
      if (body == nullptr) continue;
      if (layout_.var_count == 0) return;
      const auto tail = LoadAs<uint32_t>(body + layout_.fixed_bytes - 4);
      const auto tail_at = static_cast<uint64_t>(body - rows_) + layout_.fixed_bytes;
      if (tail > 0 && tail <= footer_.row_bytes - tail_at) {
        AddUnverified(footer_.row_offset + tail_at, tail, blocks);
      }
      return;
    }
    if (is_waiting || bucket.overflowed == 0) return;
  }
}

// Round by round: buckets, rows, text; more only where a bucket overflowed.
Result<bool> SegmentReader::FetchFor(const KeySelection& keys) const {
  const auto count = static_cast<size_t>(keys.count());
  std::vector<uint64_t> hashes(count);
  for (size_t i = 0; i < count; ++i) {
    const int64_t at = keys.At(static_cast<int64_t>(i));
    hashes[i] = HashKey({keys.keys->Data(at), keys.keys->Size(at)}, keys.hash_seed);
  }
  bool was_here = true;
  for (std::vector<uint64_t> missing;; missing.clear()) {
    for (size_t i = 0; i < count; ++i) {
      const int64_t at = keys.At(static_cast<int64_t>(i));
      AddNeeds({keys.keys->Data(at), keys.keys->Size(at)}, hashes[i], &missing);
    }
    if (missing.empty()) return was_here;
    ARROW_ASSIGN_OR_RAISE(const bool were_here, FetchBlocks(&missing));
    was_here = was_here && were_here;
  }
}

// Every bucket a key may have been handed on to. Rare: a tag that matched another key, or a bucket
// that overflowed.
Status SegmentReader::SearchChain(ByteSpan key, uint64_t hash, uint32_t* row,
                                  const uint8_t** body_out) const {
  *body_out = nullptr;
  for (uint64_t at = HomeBucket(hash, footer_.home_bucket_count); at < footer_.bucket_count; ++at) {
    ARROW_RETURN_NOT_OK(
        VerifyRange(footer_.index_offset + at * sizeof(IndexBucket), sizeof(IndexBucket)));
    const IndexBucket& bucket = buckets_[at];
    for (uint32_t matches = MatchTags(bucket, static_cast<uint16_t>(hash)); matches != 0;
         matches &= matches - 1) {
      const uint32_t candidate = bucket.rows[std::countr_zero(matches)];
      ARROW_ASSIGN_OR_RAISE(const uint8_t* body, MatchVerified(candidate, key));
      if (body == nullptr) continue;
      *row = candidate;
      *body_out = body;
      return Status::OK();
    }
    if (bucket.overflowed == 0) break;
  }
  return Status::OK();
}

// One search of one segment: three short loops over groups of keys, a group apart. What they need
// of segment and request is copied in, so that it stays in registers.
template <bool kIsAll, bool kHasOffsets, bool kIsVerified>
class SegmentReader::Finder {
 public:
  Finder(const SegmentReader& reader, const KeySelection& keys, const uint8_t** bodies,
         uint32_t* rows)
      : reader_(reader), keys_(keys), bodies_(bodies), rows_(rows), count_(keys.count()) {}

  Result<int64_t> Run() {
    for (int64_t group = 0; group < count_ + 2 * kGroup; group += kGroup) {
      if (keys_.is_hashed) {
        Fetch<true>(group, std::min(group + kGroup, count_));
      } else {
        Fetch<false>(group, std::min(group + kGroup, count_));
      }
      const int64_t probe = std::max<int64_t>(group - kGroup, 0);
      ARROW_RETURN_NOT_OK(keys_.touched.empty() ? Probe<false>(probe, std::min(group, count_))
                                                : Probe<true>(probe, std::min(group, count_)));
      ARROW_RETURN_NOT_OK(
          Confirm(std::max<int64_t>(group - 2 * kGroup, 0), std::min(group - kGroup, count_)));
    }
    return found_;
  }

 private:
  int64_t Position(int64_t i) const { return kIsAll ? i : keys_.positions[static_cast<size_t>(i)]; }
  template <bool kIsHashed>
  void Fetch(int64_t begin, int64_t end) {
    const uint64_t home_bucket_count = reader_.footer_.home_bucket_count;
    const IndexBucket* const buckets = reader_.buckets_;
    const uint64_t seed = keys_.hash_seed;
    uint64_t* const hashes = keys_.hashes;
    const KeyView<kHasOffsets> keys(*keys_.keys);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = Position(i);
      if (!kIsHashed) hashes[at] = XXH3_64bits_withSeed(keys.Data(at), keys.Size(at), seed);
      Prefetch(buckets + HomeBucket(hashes[at], home_bucket_count));
    }
  }

  // What the home bucket says: a candidate row, none, or to look further.
  template <bool kTouchesMore>
  Status Probe(int64_t begin, int64_t end) {
    const uint64_t home_bucket_count = reader_.footer_.home_bucket_count;
    const IndexBucket* const buckets = reader_.buckets_;
    const uint8_t* const row_block = reader_.rows_;
    const uint64_t row_block_bytes = reader_.footer_.row_bytes;
    const uint64_t unit = reader_.layout_.unit_bytes;
    const uint32_t prefix = reader_.layout_.key_prefix_bytes();
    const uint64_t* const hashes = keys_.hashes;
    uint32_t* const rows = rows_;
    const KeyView<kHasOffsets> keys(*keys_.keys);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = Position(i);
      const uint64_t hash = hashes[at];
      const IndexBucket* bucket = buckets + HomeBucket(hash, home_bucket_count);
      if (!kIsVerified) ARROW_RETURN_NOT_OK(VerifyBucket(bucket));
      const uint32_t matches = MatchTags(*bucket, static_cast<uint16_t>(hash));
      if (matches == 0) [[unlikely]] {
        rows[i] = bucket->overflowed != 0 ? kFollowChain : kNoRow;
        Prefetch(bucket + bucket->overflowed);
        continue;
      }
      const uint32_t row = bucket->rows[std::countr_zero(matches)];
      rows[i] = row;
      const uint64_t offset = row * unit;
      if (offset >= row_block_bytes) continue;
      Prefetch(row_block + offset);
      if (kTouchesMore) {
        const uint8_t* body = row_block + offset + prefix + keys.Size(at);
        for (const uint32_t touched : keys_.touched) Prefetch(body + touched);
      }
    }
    return Status::OK();
  }

  Status VerifyBucket(const IndexBucket* bucket) const {
    const uint64_t offset =
        static_cast<uint64_t>(reinterpret_cast<const uint8_t*>(bucket) - reader_.bytes_.data());
    const uint64_t block = offset / format::kBlockBytes;
    return reader_.IsVerified(block) ? Status::OK() : reader_.VerifyBlock(block);
  }

  Status Confirm(int64_t begin, int64_t end) {
    const RowBlock block(reader_);
    const bool has_tail = reader_.layout_.var_count != 0;
    const KeyView<kHasOffsets> keys(*keys_.keys);
    const uint32_t* const rows = rows_;
    const uint8_t** const bodies = bodies_;
    int64_t found = 0;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = Position(i);
      const uint8_t* body = nullptr;
      if (rows[i] < kFollowChain && (kIsVerified || IsRowVerified(block, rows[i], keys.Size(at)))) {
        body = block.Match(rows[i], keys.Data(at), keys.Size(at));
      }
      if (body == nullptr || (has_tail && !IsTailThere(body))) [[unlikely]] {
        ARROW_ASSIGN_OR_RAISE(body, Settle(i, at, {keys.Data(at), keys.Size(at)}));
      }
      found += body != nullptr ? 1 : 0;
      bodies[i] = body;
    }
    found_ += found;
    return Status::OK();
  }

  bool IsRowVerified(const RowBlock& block, uint32_t row, uint32_t key_bytes) const {
    const uint64_t offset = row * block.unit;
    const uint64_t needed = block.fixed_bytes + key_bytes;
    return offset + needed <= block.row_bytes &&
           reader_.IsVerified(reader_.footer_.row_offset + offset, needed);
  }

  // Whether the text of a row lies in the row block and is verified; its last line is fetched, for
  // only the row itself says where it ends.
  bool IsTailThere(const uint8_t* body) const {
    const uint8_t* const text = body + reader_.layout_.fixed_bytes;
    const auto text_bytes = LoadAs<uint32_t>(text - 4);
    const auto at = static_cast<uint64_t>(text - reader_.rows_);
    if (text_bytes > reader_.footer_.row_bytes - at) return false;
    if (text_bytes == 0) return true;
    Prefetch(text + text_bytes - 1);
    return kIsVerified || reader_.IsVerified(reader_.footer_.row_offset + at, text_bytes);
  }

  // The careful way: verifies blocks, follows chains, checks the text of a row.
  Result<const uint8_t*> Settle(int64_t i, int64_t at, ByteSpan key) {
    if (rows_[i] == kNoRow) return nullptr;
    const uint8_t* body = nullptr;
    if (rows_[i] != kFollowChain) {
      ARROW_ASSIGN_OR_RAISE(body, reader_.MatchVerified(rows_[i], key));
    }
    if (body == nullptr) {
      ARROW_RETURN_NOT_OK(reader_.SearchChain(key, keys_.hashes[at], &rows_[i], &body));
    }
    if (body != nullptr && reader_.layout_.var_count != 0) {
      ARROW_RETURN_NOT_OK(reader_.CheckTail(body));
    }
    return body;
  }

  const SegmentReader& reader_;
  const KeySelection& keys_;
  const uint8_t** const bodies_;
  uint32_t* const rows_;
  const int64_t count_;
  int64_t found_ = 0;
};

Result<int64_t> SegmentReader::Find(const KeySelection& keys, const uint8_t** bodies_out,
                                    uint32_t* rows_out) const {
  if (is_cold_.load(std::memory_order_acquire) && keys.arena != nullptr) {
    return FindCold(keys, bodies_out, rows_out);
  }
  bool was_here = true;
  if (is_partial_ && unverified_hot_count_.load(std::memory_order_acquire) != 0) {
    ARROW_ASSIGN_OR_RAISE(was_here, FetchFor(keys));
  }
  file_->MarkUsed(was_here);
  const auto run = [&]<bool kIsAll, bool kHasOffsets>() -> Result<int64_t> {
    if (unverified_hot_count_.load(std::memory_order_acquire) == 0) {
      return Finder<kIsAll, kHasOffsets, true>(*this, keys, bodies_out, rows_out).Run();
    }
    return Finder<kIsAll, kHasOffsets, false>(*this, keys, bodies_out, rows_out).Run();
  };
  const bool has_offsets = keys.keys->offsets != nullptr;
  if (keys.is_all) {
    return has_offsets ? run.operator()<true, true>() : run.operator()<true, false>();
  }
  return has_offsets ? run.operator()<false, true>() : run.operator()<false, false>();
}

}  // namespace fletching::segment
