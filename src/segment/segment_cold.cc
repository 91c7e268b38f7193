// Finding keys in a cold segment: the index is in memory, rows come from the row cache or, all that
// are missing at once, from the disk. Stage: locate.
//
// In rounds: every key not settled yet names the row it would look at next, and those rows are read
// together. One round settles nearly all keys; a second one meets tags that matched another key,
// and rows longer than they were guessed to be.
#include <algorithm>
#include <bit>

#include "segment/index_builder.h"
#include "segment/memory_budget.h"
#include "segment/segment_reader.h"

namespace fletching::segment {
namespace {

using format::IndexBucket;
using format::kBlockBytes;
using io::FileRange;

constexpr size_t kPrefetchAhead = 16;
// Ranges that overlap are read as one up to this size.
constexpr uint64_t kJoinedBytesMax = 64 * 1024;

}  // namespace

class SegmentReader::ColdFinder {
 public:
  ColdFinder(const SegmentReader& reader, const KeySelection& keys, const uint8_t** bodies,
             uint32_t* rows)
      : reader_(reader),
        keys_(keys),
        bodies_(bodies),
        rows_(rows),
        cache_(reader.budget_->row_cache()) {
    const format::SegmentFooter& footer = reader.footer_;
    usual_row_bytes_ = footer.row_bytes / std::max<uint64_t>(footer.row_count, 1);
  }

  Result<int64_t> Run();

 private:
  // One key on its way through the index.
  struct Search {
    uint32_t at;       // in the selection
    uint32_t matches;  // slots of the bucket with this tag that were not looked at yet
    uint64_t bucket;
    uint32_t row;
    bool is_probed;      // `matches` are those of `bucket`
    uint64_t row_bytes;  // that must be read to settle `row`; 0 = no row yet
  };
  enum class Step : uint8_t { kAbsent, kRow, kBucketMissing };

  ByteSpan KeyOf(const Search& search) const {
    const int64_t at = keys_.At(search.at);
    return {keys_.keys->Data(at), keys_.keys->Size(at)};
  }
  uint64_t StoredKeyBytes(ByteSpan row) const {
    const int32_t width = reader_.layout_.key_width;
    return width < 0 ? LoadAs<uint16_t>(row.data()) : static_cast<uint64_t>(width);
  }
  uint64_t HashOf(const Search& search) const { return keys_.hashes[keys_.At(search.at)]; }

  void Begin();
  Result<Step> Advance(Search* search);
  Status AdvanceAll();
  void TakeCached();
  Status TakeFetched();
  Status ReadRows();
  Status TakeFrom(const FileRange& range, ByteSpan bytes, size_t first, size_t last);
  // The row's bytes from its start on, as many as there are.
  Status Settle(const Search& search, ByteSpan row);
  void Found(const Search& search, const uint8_t* body);

  const SegmentReader& reader_;
  const KeySelection& keys_;
  const uint8_t** const bodies_;
  uint32_t* const rows_;
  const std::shared_ptr<RowCache> cache_;
  uint64_t usual_row_bytes_ = 0;
  std::vector<Search> active_;      // to be advanced
  std::vector<Search> candidates_;  // their row is wanted
  std::vector<uint64_t> missing_blocks_;
  bool was_here_ = true;
  int64_t cached_count_ = 0;
  int64_t read_count_ = 0;
  int64_t found_count_ = 0;
};

void SegmentReader::ColdFinder::Begin() {
  const auto count = static_cast<size_t>(keys_.count());
  active_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    Search search{.at = static_cast<uint32_t>(i),
                  .matches = 0,
                  .bucket = 0,
                  .row = 0,
                  .is_probed = false,
                  .row_bytes = 0};
    if (!keys_.is_hashed) {
      keys_.hashes[keys_.At(search.at)] = HashKey(KeyOf(search), keys_.hash_seed);
    }
    search.bucket = HomeBucket(HashOf(search), reader_.footer_.home_bucket_count);
    __builtin_prefetch(reader_.buckets_ + search.bucket, 0, 3);
    bodies_[i] = nullptr;
    active_.push_back(search);
  }
}

// To the next row that may have the key.
Result<SegmentReader::ColdFinder::Step> SegmentReader::ColdFinder::Advance(Search* search) {
  const format::SegmentFooter& footer = reader_.footer_;
  const uint64_t needed = uint64_t{reader_.layout_.key_prefix_bytes()} +
                          reader_.layout_.fixed_bytes + KeyOf(*search).size();
  for (;;) {
    if (search->row_bytes != 0) return Step::kRow;  // more of the same row
    const IndexBucket& bucket = reader_.buckets_[search->bucket];
    if (!search->is_probed) {
      const uint64_t offset = footer.index_offset + search->bucket * sizeof(IndexBucket);
      if (reader_.is_partial_ &&
          reader_.AddUnverified(offset, sizeof(IndexBucket), &missing_blocks_)) {
        return Step::kBucketMissing;
      }
      ARROW_RETURN_NOT_OK(reader_.VerifyRange(offset, sizeof(IndexBucket)));
      search->matches = MatchTags(bucket, static_cast<uint16_t>(HashOf(*search)));
      search->is_probed = true;
    }
    while (search->matches != 0) {
      search->row = bucket.rows[std::countr_zero(search->matches)];
      search->matches &= search->matches - 1;
      const uint64_t offset = uint64_t{search->row} * reader_.layout_.unit_bytes;
      if (offset + needed > footer.row_bytes) continue;
      search->row_bytes = std::clamp(usual_row_bytes_, needed, footer.row_bytes - offset);
      return Step::kRow;
    }
    if (bucket.overflowed == 0 || search->bucket + 1 >= footer.bucket_count) return Step::kAbsent;
    ++search->bucket;
    search->is_probed = false;
  }
}

Status SegmentReader::ColdFinder::AdvanceAll() {
  candidates_.clear();
  while (!active_.empty()) {
    missing_blocks_.clear();
    size_t waiting = 0;
    for (Search& search : active_) {
      ARROW_ASSIGN_OR_RAISE(const Step step, Advance(&search));
      if (step == Step::kRow) candidates_.push_back(search);
      if (step == Step::kBucketMissing) active_[waiting++] = search;
    }
    active_.resize(waiting);
    if (missing_blocks_.empty()) break;
    ARROW_ASSIGN_OR_RAISE(const bool were_here, reader_.FetchBlocks(&missing_blocks_));
    was_here_ = was_here_ && were_here;
  }
  return Status::OK();
}

void SegmentReader::ColdFinder::Found(const Search& search, const uint8_t* body) {
  bodies_[search.at] = body;
  rows_[search.at] = search.row;
  ++found_count_;
}

Status SegmentReader::ColdFinder::Settle(const Search& search, ByteSpan row) {
  const RowLayout& layout = reader_.layout_;
  const ByteSpan key = KeyOf(search);
  const auto next = [&](uint64_t row_bytes) {
    active_.push_back(search);
    active_.back().row_bytes = row_bytes;
  };
  const uint8_t* const stored = row.data() + layout.key_prefix_bytes();
  if (StoredKeyBytes(row) != key.size() ||
      !KeysEqual(stored, key.data(), static_cast<uint32_t>(key.size()))) {
    next(0);
    return Status::OK();
  }
  const uint8_t* const body = stored + key.size();
  uint64_t row_bytes = static_cast<uint64_t>(body - row.data()) + layout.fixed_bytes;
  if (layout.var_count != 0) row_bytes += LoadAs<uint32_t>(body + layout.fixed_bytes - 4);
  const uint64_t offset = uint64_t{search.row} * layout.unit_bytes;
  if (row_bytes > reader_.footer_.row_bytes - offset) {
    return Corruption(reader_.file_->path(), reader_.footer_.row_offset + offset,
                      "text of a row leaves the row block");
  }
  if (row_bytes > row.size()) {
    next(row_bytes);
    return Status::OK();
  }
  uint8_t* const copy = keys_.arena->Allocate(row_bytes);
  std::memcpy(copy, row.data(), row_bytes);
  if (!keys_.is_background) cache_->Add(reader_.cache_id_, search.row, row.first(row_bytes));
  ++read_count_;
  Found(search, copy + (body - row.data()));
  return Status::OK();
}

// Whole rows, which lie in the arena already.
void SegmentReader::ColdFinder::TakeCached() {
  const uint32_t prefix = reader_.layout_.key_prefix_bytes();
  size_t left = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (i + kPrefetchAhead < candidates_.size()) {
      cache_->Prefetch(reader_.cache_id_, candidates_[i + kPrefetchAhead].row);
    }
    Search search = candidates_[i];
    const ByteSpan row = cache_->Find(reader_.cache_id_, search.row, keys_.arena);
    if (row.empty()) {
      candidates_[left++] = search;
      continue;
    }
    const ByteSpan key = KeyOf(search);
    if (StoredKeyBytes(row) == key.size() &&
        KeysEqual(row.data() + prefix, key.data(), static_cast<uint32_t>(key.size()))) {
      ++cached_count_;
      Found(search, row.data() + prefix + key.size());
    } else {
      search.row_bytes = 0;
      active_.push_back(search);
    }
  }
  candidates_.resize(left);
}

// Rows of a partial file whose blocks had to be brought here are in the page cache now.
Status SegmentReader::ColdFinder::TakeFetched() {
  missing_blocks_.clear();
  std::vector<Search> fetched;
  size_t left = 0;
  for (const Search& search : candidates_) {
    const uint64_t offset = uint64_t{search.row} * reader_.layout_.unit_bytes;
    const bool is_missing = reader_.AddUnverified(reader_.footer_.row_offset + offset,
                                                  search.row_bytes, &missing_blocks_);
    if (is_missing) {
      fetched.push_back(search);
    } else {
      candidates_[left++] = search;
    }
  }
  candidates_.resize(left);
  if (fetched.empty()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const bool were_here, reader_.FetchBlocks(&missing_blocks_));
  was_here_ = was_here_ && were_here;
  for (const Search& search : fetched) {
    const uint64_t offset = uint64_t{search.row} * reader_.layout_.unit_bytes;
    ARROW_RETURN_NOT_OK(Settle(search, {reader_.rows_ + offset, search.row_bytes}));
  }
  return Status::OK();
}

Status SegmentReader::ColdFinder::TakeFrom(const FileRange& range, ByteSpan bytes, size_t first,
                                           size_t last) {
  for (uint64_t at = 0; at < bytes.size(); at += kBlockBytes) {
    const uint64_t block = (range.offset_bytes + at) / kBlockBytes;
    if (block >= reader_.footer_.block_count) break;
    if (!reader_.FitsChecksum(block, bytes.subspan(at, reader_.BlockBytes(block).size()))) {
      return Corruption(reader_.file_->path(), range.offset_bytes + at, "block checksum differs");
    }
  }
  for (size_t i = first; i < last; ++i) {
    const uint64_t offset = reader_.footer_.row_offset +
                            uint64_t{candidates_[i].row} * reader_.layout_.unit_bytes -
                            range.offset_bytes;
    ARROW_RETURN_NOT_OK(Settle(candidates_[i], bytes.subspan(offset, candidates_[i].row_bytes)));
  }
  return Status::OK();
}

Status SegmentReader::ColdFinder::ReadRows() {
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Search& a, const Search& b) { return a.row < b.row; });
  std::vector<FileRange> ranges;
  std::vector<size_t> firsts;  // candidates of each range
  for (size_t i = 0; i < candidates_.size(); ++i) {
    const uint64_t offset =
        reader_.footer_.row_offset + uint64_t{candidates_[i].row} * reader_.layout_.unit_bytes;
    const uint64_t begin = offset / kBlockBytes * kBlockBytes;
    const uint64_t end = std::min<uint64_t>(RoundUp(offset + candidates_[i].row_bytes, kBlockBytes),
                                            reader_.bytes_.size());
    if (!ranges.empty()) {
      FileRange& before = ranges.back();
      const uint64_t joined_end = std::max(before.offset_bytes + before.size_bytes, end);
      if (begin < before.offset_bytes + before.size_bytes &&
          joined_end - before.offset_bytes <= kJoinedBytesMax) {
        before.size_bytes = joined_end - before.offset_bytes;
        continue;
      }
    }
    ranges.push_back({begin, end - begin});
    firsts.push_back(i);
  }
  firsts.push_back(candidates_.size());
  return reader_.budget_->pieces().Read(
      *reader_.file_, ranges, [&](size_t i, ByteSpan bytes) -> Status {
        return TakeFrom(ranges[i], bytes, firsts[i], firsts[i + 1]);
      });
}

Result<int64_t> SegmentReader::ColdFinder::Run() {
  Begin();
  while (!active_.empty()) {
    ARROW_RETURN_NOT_OK(AdvanceAll());
    TakeCached();
    if (reader_.is_partial_) ARROW_RETURN_NOT_OK(TakeFetched());
    ARROW_RETURN_NOT_OK(ReadRows());
  }
  reader_.budget_->CountRows(cached_count_, read_count_);
  reader_.file_->MarkUsed(was_here_);
  return found_count_;
}

Result<int64_t> SegmentReader::FindCold(const KeySelection& keys, const uint8_t** bodies_out,
                                        uint32_t* rows_out) const {
  return ColdFinder(*this, keys, bodies_out, rows_out).Run();
}

void SegmentReader::SetCold(bool is_cold) const {
  if (is_cold_.exchange(is_cold, std::memory_order_acq_rel) == is_cold || !is_cold) return;
  const uint64_t row_end = RoundUp(footer_.row_offset + footer_.row_bytes, kBlockBytes);
  file_->LetGo({0, std::min<uint64_t>(row_end, bytes_.size()) / kBlockBytes * kBlockBytes});
  if (is_partial_ || row_end >= bytes_.size()) return;
  const FileRange rest{row_end, bytes_.size() - row_end};
  file_->WillNeed(std::span(&rest, 1));
}

}  // namespace fletching::segment
