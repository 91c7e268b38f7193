// An open segment file: finds keys and gathers columns. Stages: locate, gather.
//
// A view over a mapped file; nothing is copied. Knows nothing of other segments, of versions or of
// which row wins between them.
// Opening checks header, footer, column table and block table, and that every section lies inside
// the file. The 4 KiB blocks of rows, index and data are checked against their checksums when they
// are first touched; a warm read only asks one flag.
// Of a partial file (io/file.h) the blocks that a call needs are fetched when they are not here,
// for all keys of a look-up together: buckets, then rows, then their text. They may then fail or
// wait as what lies elsewhere does. Of a cold segment, one whose rows have no room in the memory
// budget, Find copies rows into the look-up's arena. A file cut short under us, or a page that
// cannot be read, looks like rows of zeros or damage; CheckIntact, asked after the last look at
// bodies, says so. Threads: any number may call Find, Gather and Scan at once. Lifetime: bodies
// returned point into the mapping and live as long as the reader.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "format/segment_layout.h"
#include "io/file.h"
#include "segment/column_output.h"
#include "segment/locate.h"
#include "segment/row_layout.h"

namespace fletching::segment {

class MemoryBudget;

class SegmentReader {
 public:
  // budget: what the segment's rows have to fit into; null = the machine's memory.
  // Errors: kCorruption naming the offset that does not add up; kUnsupported for newer versions.
  static Result<std::shared_ptr<SegmentReader>> Open(std::shared_ptr<io::MappedFile> file,
                                                     std::shared_ptr<MemoryBudget> budget = {});
  ~SegmentReader();
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // bodies_out[i], rows_out[i]: body and address of the i-th selected key's row, or nullptr.
  // Tombstones are found like other rows. Returns how many were found.
  // Lifetime of the bodies: the reader's, or that of the selection's arena when there is one.
  // Cost: about two cache misses a key, overlapped; of a cold segment, a read of the disk for each
  // row that is not in the row cache, all of them under way at once.
  Result<int64_t> Find(const KeySelection& keys, const uint8_t** bodies_out,
                       uint32_t* rows_out) const;

  // outputs[i] receives column column_ids[i]. Columns without data here come out null.
  Status Gather(std::span<const uint32_t> column_ids, const RowSelection& rows,
                ColumnOutput* outputs) const;

  // Rows from address *cursor on, dead ones left out, at most `limit`; *cursor moves behind them
  // and equals end_address() at the end. keys_out[i] belongs to bodies_out[i].
  Status Scan(uint64_t* cursor, int64_t limit, std::vector<ByteSpan>* keys_out,
              std::vector<const uint8_t*>* bodies_out, std::vector<uint32_t>* rows_out) const;
  uint64_t end_address() const { return footer_.row_bytes / footer_.row_unit_bytes; }

  // Checks every block now. Errors: kCorruption, naming the first bad block.
  Status VerifyAll() const;

  // By the memory budget: whether rows are read from the disk, one look-up's together, and not
  // through the mapping.
  void SetCold(bool is_cold) const;

  // Maps and checks all blocks, lest the first readers do: of a segment that was just written and
  // is about to be shown. Does nothing for partial files, and for those that would push too much
  // else out of memory. Damage is met again, and told, by whoever reads it. Cost: a pass over the
  // file.
  void WarmUp() const;

  // Whether everything read so far came from the file: to be asked once all values are copied, and
  // whatever errors there were, for this one explains them. Errors: kUnavailable naming the file,
  // and from then on always.
  Status CheckIntact() const {
    // However little is cut off, the end is gone: a whole page as a fault, less than one as zeros.
    const uint8_t* const end = bytes_.data() + bytes_.size();
    if (LoadAs<uint64_t>(end - sizeof(uint64_t)) != format::kSegmentMagic) file_->MarkFailed();
    return file_->CheckRead();
  }

  // Whether these bytes of a whole file are the same segment: the footer holds the checksums of all
  // the rest.
  bool IsSame(ByteSpan file) const;

  const RowLayout& layout() const { return layout_; }
  const format::SegmentFooter& footer() const { return footer_; }
  uint64_t live_row_count() const { return footer_.row_count - footer_.dead_count; }
  uint64_t file_bytes() const { return bytes_.size(); }
  ByteSpan bytes() const { return bytes_; }  // of the whole file
  // Rows of this column that are neither null nor deleted; 0 without data.
  uint64_t ValueCount(uint32_t column_id) const;
  // The value a constant column has in all rows; nullopt for other columns or damaged bytes.
  std::optional<ByteSpan> ConstantValue(uint32_t column_id) const;
  // About the bytes of keys and variable-length values of all rows.
  uint64_t VaryingBytes() const;
  const std::string& path() const { return file_->path(); }
  const std::vector<std::string>& column_names() const { return column_names_; }

 private:
  explicit SegmentReader(std::shared_ptr<io::MappedFile> file);
  static Result<std::shared_ptr<SegmentReader>> OpenChecked(
      const std::shared_ptr<io::MappedFile>& file);
  static Result<std::shared_ptr<SegmentReader>> OpenOnce(
      const std::shared_ptr<io::MappedFile>& file);
  // Opening: segment_open.cc.
  Status ReadFooter();
  Status ReadColumns();
  Status CheckLayout() const;
  Status CheckEntry(const format::ColumnEntry& entry, const arrow::DataType& type) const;
  bool InBlocks(uint64_t offset, uint64_t bytes) const;

  Status VerifyRange(uint64_t offset, uint64_t bytes) const;
  Status VerifyBlock(uint64_t block) const;
  // Whether the block is here and what its checksum says; then it counts as verified.
  bool CheckBlock(uint64_t block) const;
  bool FitsChecksum(uint64_t block, ByteSpan bytes) const;
  ByteSpan BlockBytes(uint64_t block) const;

  // Partial files: segment_fetch.cc.
  static Status FetchEnds(const io::MappedFile& file, bool again);
  // -> whether all were here. Verified afterwards.
  Result<bool> FetchBlocks(std::vector<uint64_t>* blocks) const;
  Result<bool> FetchFor(const KeySelection& keys) const;
  void AddNeeds(ByteSpan key, uint64_t hash, std::vector<uint64_t>* blocks) const;
  bool AddUnverified(uint64_t offset, uint64_t bytes, std::vector<uint64_t>* blocks) const;
  bool IsVerified(uint64_t offset, uint64_t bytes) const {
    const uint64_t first = offset / format::kBlockBytes;
    return IsVerified(first) &&
           (first == (offset + bytes - 1) / format::kBlockBytes || VerifyRange(offset, bytes).ok());
  }
  // Blocks that the locate stage touches.
  bool IsHot(uint64_t block) const {
    const uint64_t begin = block * format::kBlockBytes;
    const uint64_t end = begin + format::kBlockBytes;
    const auto overlaps = [&](uint64_t offset, uint64_t bytes) {
      return begin < offset + bytes && offset < end;
    };
    return overlaps(footer_.row_offset, footer_.row_bytes) ||
           overlaps(footer_.index_offset, footer_.bucket_count * sizeof(format::IndexBucket));
  }
  bool IsVerified(uint64_t block) const {
    // With the release of CheckBlock: bytes of a partial file come after it was opened.
    return (verified_[block / 64].load(std::memory_order_acquire) >> (block % 64)) & 1;
  }
  // Locating: segment_find.cc.
  template <bool kIsAll, bool kHasOffsets, bool kIsVerified>
  class Finder;
  class ColdFinder;  // segment_cold.cc
  Result<int64_t> FindCold(const KeySelection& keys, const uint8_t** bodies_out,
                           uint32_t* rows_out) const;
  struct RowBlock;
  Result<const uint8_t*> MatchVerified(uint32_t row, ByteSpan key) const;
  Status SearchChain(ByteSpan key, uint64_t hash, uint32_t* row, const uint8_t** body_out) const;
  Status CheckTail(const uint8_t* body) const;
  void LetGoBehind(uint64_t begun_at, uint64_t ended_at) const;
  Status GatherSparse(const format::ColumnEntry& entry, const LayoutColumn& column,
                      const RowSelection& rows, ColumnOutput* output) const;

  std::shared_ptr<io::MappedFile> file_;
  const bool is_partial_;
  ByteSpan bytes_;
  format::SegmentFooter footer_{};
  RowLayout layout_;
  std::vector<std::string> column_names_;
  std::vector<format::ColumnEntry> entries_;              // aligned with layout_.columns
  std::unique_ptr<std::atomic<bool>[]> column_verified_;  // likewise: its sparse or constant data
  const uint8_t* rows_ = nullptr;
  const format::IndexBucket* buckets_ = nullptr;
  std::unique_ptr<std::atomic<uint64_t>[]> verified_;  // bit per block
  // Blocks of rows and index not verified yet; at 0 a read no longer asks.
  mutable std::atomic<int64_t> unverified_hot_count_{0};
  std::shared_ptr<MemoryBudget> budget_;
  uint32_t cache_id_ = 0;  // of this segment in the budget's row cache
  mutable std::atomic<bool> is_cold_{false};
};

}  // namespace fletching::segment
