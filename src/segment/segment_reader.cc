#include "segment/segment_reader.h"

#include <algorithm>
#include <bit>

#include "base/checksum.h"
#include "segment/index_builder.h"

namespace fletching::segment {
namespace {

using format::ColumnEntry;
using format::Encoding;
using format::IndexBucket;

// Candidate rows between the probe and the comparison.
constexpr uint32_t kNoRow = UINT32_MAX;        // the index says the key is absent
constexpr uint32_t kFollowChain = kNoRow - 1;  // its bucket overflowed: look further

// Keys handled together: while one group's buckets are fetched, the one before it is probed and the
// one before that compared. 16 fetches keep the core's miss buffers (10-16) busy; a sweep over
// 8 .. 64 is in docs/performance.md.
constexpr int64_t kGroup = 16;

inline void Prefetch(const void* address) { __builtin_prefetch(address, 0, 3); }

}  // namespace

Status SegmentReader::VerifyBlock(uint64_t block) const {
  const uint64_t mask = uint64_t{1} << (block % 64);
  if (verified_[block / 64].load(std::memory_order_relaxed) & mask) return Status::OK();
  const uint64_t offset = block * format::kBlockBytes;
  const uint64_t bytes = std::min<uint64_t>(format::kBlockBytes, footer_.blocks_offset - offset);
  const auto expected = LoadAs<uint64_t>(bytes_.data() + footer_.blocks_offset + block * 8);
  if (Checksum(bytes_.subspan(offset, bytes)) != expected) {
    return Corruption(file_->path(), offset, "block checksum differs");
  }
  const uint64_t before = verified_[block / 64].fetch_or(mask, std::memory_order_relaxed);
  if ((before & mask) == 0 && verified_count_.fetch_add(1) + 1 == footer_.block_count) {
    all_verified_.store(true, std::memory_order_relaxed);
  }
  return Status::OK();
}

Status SegmentReader::VerifyRange(uint64_t offset, uint64_t bytes) const {
  if (bytes == 0) return Status::OK();
  const uint64_t last = (offset + bytes - 1) / format::kBlockBytes;
  for (uint64_t block = offset / format::kBlockBytes; block <= last; ++block) {
    ARROW_RETURN_NOT_OK(VerifyBlock(block));
  }
  return Status::OK();
}

Status SegmentReader::VerifyAll() const {
  for (uint64_t block = 0; block < footer_.block_count; ++block) {
    ARROW_RETURN_NOT_OK(VerifyBlock(block));
  }
  return Status::OK();
}

inline void SegmentReader::PrefetchBucket(uint64_t hash) const {
  Prefetch(buckets_ + HomeBucket(hash, footer_.home_bucket_count));
}

inline Result<uint32_t> SegmentReader::Probe(uint64_t hash) const {
  const uint64_t home = HomeBucket(hash, footer_.home_bucket_count);
  if (!all_verified_.load(std::memory_order_relaxed)) [[unlikely]] {
    ARROW_RETURN_NOT_OK(
        VerifyRange(footer_.index_offset + home * sizeof(IndexBucket), sizeof(IndexBucket)));
  }
  const IndexBucket& bucket = buckets_[home];
  const uint32_t matches = MatchTags(bucket, static_cast<uint16_t>(hash));
  if (matches != 0) return bucket.rows[std::countr_zero(matches)];
  if (bucket.overflowed == 0) return kNoRow;
  Prefetch(&bucket + 1);
  return kFollowChain;
}

inline void SegmentReader::PrefetchRow(uint32_t row) const {
  if (row >= kFollowChain) return;
  const uint64_t offset = uint64_t{row} * layout_.unit_bytes;
  if (offset >= footer_.row_bytes) return;
  Prefetch(rows_ + offset);
  if (layout_.fixed_bytes + layout_.key_prefix_bytes() > 64) Prefetch(rows_ + offset + 64);
}

// The body when the row at this address has this key, else nullptr.
inline Result<const uint8_t*> SegmentReader::Match(uint32_t row, ByteSpan key) const {
  const uint32_t prefix = layout_.key_prefix_bytes();
  const auto key_bytes = static_cast<uint32_t>(key.size());
  const uint64_t offset = uint64_t{row} * layout_.unit_bytes;
  const uint64_t needed = uint64_t{prefix} + key_bytes + layout_.fixed_bytes;
  // A longer key than the last row's: it cannot be this row. (No row is shorter than its layout.)
  if (offset + needed > footer_.row_bytes) return nullptr;
  if (!all_verified_.load(std::memory_order_relaxed)) [[unlikely]] {
    ARROW_RETURN_NOT_OK(VerifyRange(footer_.row_offset + offset, needed));
  }
  const uint8_t* at = rows_ + offset;
  if (prefix != 0) {
    if (LoadAs<uint16_t>(at) != key_bytes) return nullptr;
    at += 2;
  } else if (static_cast<int32_t>(key_bytes) != layout_.key_width) {
    return nullptr;
  }
  return KeysEqual(at, key.data(), key_bytes) ? at + key_bytes : nullptr;
}

// The variable-length part lies inside the row block.
Status SegmentReader::CheckTail(const uint8_t* body) const {
  const auto tail = LoadAs<uint32_t>(body + layout_.fixed_bytes - 4);
  const auto at = static_cast<uint64_t>(body - rows_) + layout_.fixed_bytes;
  if (tail > footer_.row_bytes - at) {
    return Corruption(file_->path(), footer_.row_offset + at, "text of a row leaves the row block");
  }
  if (all_verified_.load(std::memory_order_relaxed)) return Status::OK();
  return VerifyRange(footer_.row_offset + at, tail);
}

// Every bucket a key may have been handed on to. Rare: a tag that matched another key, or a bucket
// that overflowed.
Status SegmentReader::SearchChain(ByteSpan key, uint64_t hash, uint32_t* row,
                                  const uint8_t** body_out) const {
  for (uint64_t at = HomeBucket(hash, footer_.home_bucket_count); at < footer_.bucket_count; ++at) {
    ARROW_RETURN_NOT_OK(
        VerifyRange(footer_.index_offset + at * sizeof(IndexBucket), sizeof(IndexBucket)));
    const IndexBucket& bucket = buckets_[at];
    for (uint32_t matches = MatchTags(bucket, static_cast<uint16_t>(hash)); matches != 0;
         matches &= matches - 1) {
      const uint32_t candidate = bucket.rows[std::countr_zero(matches)];
      ARROW_ASSIGN_OR_RAISE(const uint8_t* body, Match(candidate, key));
      if (body == nullptr) continue;
      *row = candidate;
      *body_out = body;
      return Status::OK();
    }
    if (bucket.overflowed == 0) break;
  }
  *body_out = nullptr;
  return Status::OK();
}

inline Status SegmentReader::Confirm(ByteSpan key, uint64_t hash, uint32_t* row,
                                     const uint8_t** body_out) const {
  if (*row == kNoRow) {
    *body_out = nullptr;
    return Status::OK();
  }
  const uint8_t* body = nullptr;
  if (*row != kFollowChain) {
    ARROW_ASSIGN_OR_RAISE(body, Match(*row, key));
  }
  if (body == nullptr) {
    ARROW_RETURN_NOT_OK(SearchChain(key, hash, row, &body));
  }
  *body_out = body;
  return body != nullptr && layout_.var_count != 0 ? CheckTail(body) : Status::OK();
}

Status SegmentReader::Find(const KeySelection& keys, const uint8_t** bodies_out,
                           uint32_t* rows_out) const {
  const int64_t count = keys.count();
  // Three stages, a group apart: fetch buckets | probe, fetch rows | compare keys.
  for (int64_t group = 0; group < count + 2 * kGroup; group += kGroup) {
    const int64_t fetch_end = std::min(group + kGroup, count);
    for (int64_t i = group; i < fetch_end; ++i) PrefetchBucket(keys.hashes[keys.At(i)]);
    const int64_t probe_end = std::min(group, count);
    for (int64_t i = std::max<int64_t>(group - kGroup, 0); i < probe_end; ++i) {
      ARROW_ASSIGN_OR_RAISE(rows_out[i], Probe(keys.hashes[keys.At(i)]));
      PrefetchRow(rows_out[i]);
    }
    const int64_t confirm_end = std::min(group - kGroup, count);
    for (int64_t i = std::max<int64_t>(group - 2 * kGroup, 0); i < confirm_end; ++i) {
      const int64_t position = keys.At(i);
      const ByteSpan key(keys.keys->Data(position), keys.keys->Size(position));
      ARROW_RETURN_NOT_OK(Confirm(key, keys.hashes[position], &rows_out[i], &bodies_out[i]));
    }
  }
  return Status::OK();
}

Status SegmentReader::GatherSparse(const ColumnEntry& entry, const LayoutColumn& column,
                                   const RowSelection& rows, ColumnOutput* output) const {
  const uint64_t value_count = entry.value_count;
  const uint8_t* addresses = bytes_.data() + entry.data_offset;
  const uint8_t* starts = addresses + 4 * value_count;
  const uint8_t* ends = starts + 4 * (uint64_t{entry.range_count} + 1);
  const uint8_t* values = column.is_variable ? ends + 4 * value_count : ends;
  const auto address_at = [&](uint64_t i) { return LoadAs<uint32_t>(addresses + 4 * i); };
  const uint64_t text_bytes =
      entry.data_bytes - static_cast<uint64_t>(values - addresses);  // variable widths only
  for (int64_t i = 0; i < rows.count; ++i) {
    const uint32_t row = rows.rows[i];
    const uint32_t range = row >> entry.range_shift;
    uint64_t low = value_count;
    uint64_t high = value_count;
    if (range < entry.range_count) {
      low = std::min<uint64_t>(LoadAs<uint32_t>(starts + 4 * uint64_t{range}), value_count);
      high = std::min<uint64_t>(LoadAs<uint32_t>(starts + 4 * uint64_t{range} + 4), value_count);
    }
    while (low < high && address_at(low) < row) ++low;
    if (low >= high || address_at(low) != row) {
      output->SetNull(rows.At(i));
      continue;
    }
    ByteSpan value(values + low * column.width, column.width);
    if (column.is_variable) {
      const uint32_t begin = low == 0 ? 0 : LoadAs<uint32_t>(ends + 4 * low - 4);
      const auto end = LoadAs<uint32_t>(ends + 4 * low);
      if (end < begin || end > text_bytes) {
        return Corruption(file_->path(), entry.data_offset, "ends of a sparse column go backwards");
      }
      value = {values + begin, end - begin};
    }
    output->SetValue(column, rows.At(i), value);
  }
  return Status::OK();
}

Status SegmentReader::Gather(uint32_t column_id, const RowSelection& rows,
                             ColumnOutput* output) const {
  for (size_t c = 0; c < entries_.size(); ++c) {
    const LayoutColumn& column = layout_.columns[c];
    if (column.column_id != column_id) continue;
    if (column.encoding == Encoding::kPacked) {
      output->GatherPacked(layout_, column, rows);
      return Status::OK();
    }
    const ColumnEntry& entry = entries_[c];
    if (!column_verified_[c].load(std::memory_order_relaxed)) {
      ARROW_RETURN_NOT_OK(VerifyRange(entry.data_offset, entry.data_bytes));
      column_verified_[c].store(true, std::memory_order_relaxed);
    }
    if (column.encoding == Encoding::kSparse) return GatherSparse(entry, column, rows, output);
    output->FillConstant(column, bytes_.subspan(entry.data_offset, entry.data_bytes), rows);
    return Status::OK();
  }
  output->SetAllNull(rows);
  return Status::OK();
}

uint64_t SegmentReader::ValueCount(uint32_t column_id) const {
  for (const ColumnEntry& entry : entries_) {
    if (entry.column_id != column_id) continue;
    if (entry.encoding != static_cast<uint8_t>(Encoding::kConstant)) return entry.value_count;
    return footer_.row_count - footer_.tombstone_count;
  }
  return 0;
}

uint64_t SegmentReader::VaryingBytes() const {
  const uint64_t fixed = footer_.row_count * (layout_.fixed_bytes + layout_.key_prefix_bytes());
  return footer_.row_bytes > fixed ? footer_.row_bytes - fixed : 0;
}

Status SegmentReader::Scan(uint64_t* cursor, int64_t limit, std::vector<ByteSpan>* keys_out,
                           std::vector<const uint8_t*>* bodies_out,
                           std::vector<uint32_t>* rows_out) const {
  keys_out->clear();
  bodies_out->clear();
  rows_out->clear();
  ARROW_RETURN_NOT_OK(VerifyRange(footer_.dead_offset, footer_.dead_count * 4));
  const auto* dead = reinterpret_cast<const uint32_t*>(bytes_.data() + footer_.dead_offset);
  const uint32_t* dead_end = dead + footer_.dead_count;
  const uint32_t* next_dead = std::lower_bound(dead, dead_end, static_cast<uint32_t>(*cursor));
  while (*cursor < end_address() && static_cast<int64_t>(keys_out->size()) < limit) {
    const auto row = static_cast<uint32_t>(*cursor);
    const uint64_t offset = *cursor * layout_.unit_bytes;
    const uint64_t file_offset = footer_.row_offset + offset;
    const uint64_t left = footer_.row_bytes - offset;
    // Its lengths first, then all of it: each look only at blocks already verified.
    const uint64_t head = std::min<uint64_t>(left, layout_.key_prefix_bytes() + layout_.unit_bytes);
    ARROW_RETURN_NOT_OK(VerifyRange(file_offset, head));
    const uint64_t key_bytes = layout_.key_width < 0 ? LoadAs<uint16_t>(rows_ + offset)
                                                     : static_cast<uint64_t>(layout_.key_width);
    const uint64_t fixed = layout_.key_prefix_bytes() + key_bytes + layout_.fixed_bytes;
    ARROW_RETURN_NOT_OK(VerifyRange(file_offset, std::min(left, fixed)));
    ARROW_ASSIGN_OR_RAISE(const RowView view, ParseRow(layout_, {rows_ + offset, left},
                                                       file_->path(), file_offset));
    ARROW_RETURN_NOT_OK(VerifyRange(file_offset, view.row_bytes));
    *cursor += RoundUp(view.row_bytes, layout_.unit_bytes) / layout_.unit_bytes;
    if (next_dead != dead_end && *next_dead == row) {
      ++next_dead;
      continue;
    }
    keys_out->push_back(view.key);
    bodies_out->push_back(view.body);
    rows_out->push_back(row);
  }
  return Status::OK();
}

}  // namespace fletching::segment
