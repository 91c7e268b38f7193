#include "segment/segment_reader.h"

#include <algorithm>
#include <cstring>
#include <unistd.h>

#include "base/checksum.h"
#include "base/ignore_error.h"
#include "segment/gather.h"

namespace fletching::segment {
namespace {

using format::ColumnEntry;
using format::Encoding;

constexpr uint64_t kScanAheadBytes = uint64_t{8} << 20;
constexpr uint64_t kWarmPart = 8;  // of the machine's memory

}  // namespace

ByteSpan SegmentReader::BlockBytes(uint64_t block) const {
  const uint64_t offset = block * format::kBlockBytes;
  return bytes_.subspan(offset,
                        std::min<uint64_t>(format::kBlockBytes, footer_.blocks_offset - offset));
}

bool SegmentReader::FitsChecksum(uint64_t block, ByteSpan bytes) const {
  return Checksum(bytes) == LoadAs<uint64_t>(bytes_.data() + footer_.blocks_offset + block * 8);
}

bool SegmentReader::CheckBlock(uint64_t block) const {
  const ByteSpan bytes = BlockBytes(block);
  if (is_partial_ && !file_->IsHere({block * format::kBlockBytes, bytes.size()})) return false;
  if (!FitsChecksum(block, bytes)) return false;
  const uint64_t mask = uint64_t{1} << (block % 64);
  const uint64_t before = verified_[block / 64].fetch_or(mask, std::memory_order_release);
  if ((before & mask) == 0 && IsHot(block)) {
    unverified_hot_count_.fetch_sub(1, std::memory_order_acq_rel);
  }
  return true;
}

Status SegmentReader::VerifyBlock(uint64_t block) const {
  if (IsVerified(block) || CheckBlock(block)) return Status::OK();
  if (is_partial_) {
    std::vector<uint64_t> one{block};
    return FetchBlocks(&one).status();
  }
  return Corruption(file_->path(), block * format::kBlockBytes, "block checksum differs");
}

Status SegmentReader::VerifyRange(uint64_t offset, uint64_t bytes) const {
  if (bytes == 0) return Status::OK();
  if (is_partial_) {
    std::vector<uint64_t> missing;
    return AddUnverified(offset, bytes, &missing) ? FetchBlocks(&missing).status() : Status::OK();
  }
  const uint64_t last = (offset + bytes - 1) / format::kBlockBytes;
  for (uint64_t block = offset / format::kBlockBytes; block <= last; ++block) {
    ARROW_RETURN_NOT_OK(VerifyBlock(block));
  }
  return Status::OK();
}

Status SegmentReader::VerifyAll() const { return VerifyRange(0, footer_.blocks_offset); }

bool SegmentReader::IsSame(ByteSpan file) const {
  if (file.size() != file_bytes()) return false;
  const ByteSpan end = file.last(sizeof(format::SegmentFooter));
  return std::memcmp(end.data(), &footer_, end.size()) == 0;
}

void SegmentReader::WarmUp() const {
  static const auto memory_bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  if (is_partial_ || is_cold_ || file_bytes() > memory_bytes / kWarmPart) return;
  file_->Populate();
  IgnoreError(VerifyAll());
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

Status SegmentReader::Gather(std::span<const uint32_t> column_ids, const RowSelection& rows,
                             ColumnOutput* outputs) const {
  GatherPackedColumns(layout_, column_ids, rows, outputs);
  for (size_t i = 0; i < column_ids.size(); ++i) {
    const int32_t index = layout_.IndexOf(column_ids[i]);
    if (index < 0) {
      outputs[i].SetAllNull(rows);
      continue;
    }
    const auto c = static_cast<size_t>(index);
    const LayoutColumn& column = layout_.columns[c];
    if (column.encoding == Encoding::kPacked) continue;
    const ColumnEntry& entry = entries_[c];
    if (!column_verified_[c].load(std::memory_order_acquire)) {
      ARROW_RETURN_NOT_OK(VerifyRange(entry.data_offset, entry.data_bytes));
      column_verified_[c].store(true, std::memory_order_release);
    }
    if (column.encoding == Encoding::kSparse) {
      ARROW_RETURN_NOT_OK(GatherSparse(entry, column, rows, &outputs[i]));
    } else {
      outputs[i].FillConstant(column, bytes_.subspan(entry.data_offset, entry.data_bytes), rows);
    }
  }
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

std::optional<ByteSpan> SegmentReader::ConstantValue(uint32_t column_id) const {
  const int32_t index = layout_.IndexOf(column_id);
  if (index < 0) return std::nullopt;
  const ColumnEntry& entry = entries_[static_cast<size_t>(index)];
  if (entry.encoding != static_cast<uint8_t>(Encoding::kConstant) ||
      !VerifyRange(entry.data_offset, entry.data_bytes).ok()) {
    return std::nullopt;
  }
  return bytes_.subspan(entry.data_offset, entry.data_bytes);
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
  const uint64_t begun_at = *cursor * layout_.unit_bytes;
  uint64_t ahead_until = 0;  // of a partial file, whose rows come in long stretches
  while (*cursor < end_address() && static_cast<int64_t>(keys_out->size()) < limit) {
    const auto row = static_cast<uint32_t>(*cursor);
    const uint64_t offset = *cursor * layout_.unit_bytes;
    const uint64_t file_offset = footer_.row_offset + offset;
    const uint64_t left = footer_.row_bytes - offset;
    if (is_partial_ && file_offset >= ahead_until) {
      const uint64_t ahead = std::min(left, kScanAheadBytes);
      ARROW_RETURN_NOT_OK(VerifyRange(file_offset, ahead));
      ahead_until = file_offset + ahead;
    }
    // Its lengths first, then all of it: each look only at blocks already verified.
    const uint64_t head = std::min<uint64_t>(left, layout_.key_prefix_bytes() + layout_.unit_bytes);
    ARROW_RETURN_NOT_OK(VerifyRange(file_offset, head));
    const uint64_t key_bytes = layout_.key_width < 0 ? LoadAs<uint16_t>(rows_ + offset)
                                                     : static_cast<uint64_t>(layout_.key_width);
    const uint64_t fixed = layout_.key_prefix_bytes() + key_bytes + layout_.fixed_bytes;
    ARROW_RETURN_NOT_OK(VerifyRange(file_offset, std::min(left, fixed)));
    ARROW_ASSIGN_OR_RAISE(const RowView view,
                          ParseRow(layout_, {rows_ + offset, left}, file_->path(), file_offset));
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
  if (is_cold_) LetGoBehind(begun_at, *cursor * layout_.unit_bytes);
  return Status::OK();
}

// Of a scan that went from one offset in the row block to another: what it left so far behind that
// nobody looks at the rows any more.
void SegmentReader::LetGoBehind(uint64_t begun_at, uint64_t ended_at) const {
  const uint64_t first = begun_at / kScanAheadBytes;
  const uint64_t last = ended_at / kScanAheadBytes;
  if (first == last || first == 0) return;
  file_->LetGo(
      {footer_.row_offset + (first - 1) * kScanAheadBytes, (last - first) * kScanAheadBytes});
}

}  // namespace fletching::segment
