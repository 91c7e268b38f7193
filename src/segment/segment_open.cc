// Opening a segment: nothing is believed before it was checked, in the order of the checks.
#include <set>
#include <utility>

#include <arrow/type.h>

#include "base/checksum.h"
#include "segment/memory_budget.h"
#include "segment/physical.h"
#include "segment/segment_reader.h"

namespace fletching::segment {

using format::ColumnEntry;
using format::Encoding;
using format::SegmentFooter;
using format::SegmentHeader;

SegmentReader::SegmentReader(std::shared_ptr<io::MappedFile> file)
    : file_(std::move(file)), is_partial_(file_->is_partial()), bytes_(file_->bytes()) {}

SegmentReader::~SegmentReader() {
  if (budget_ != nullptr) budget_->Remove(this);
}

Result<std::shared_ptr<SegmentReader>> SegmentReader::Open(std::shared_ptr<io::MappedFile> file,
                                                           std::shared_ptr<MemoryBudget> budget) {
  if (budget != nullptr) file->OpenDirect();
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<SegmentReader> reader, OpenChecked(file));
  if (budget != nullptr) {
    reader->budget_ = std::move(budget);
    reader->cache_id_ = reader->budget_->Add(reader.get());
  }
  return reader;
}

Result<std::shared_ptr<SegmentReader>> SegmentReader::OpenChecked(
    const std::shared_ptr<io::MappedFile>& file) {
  if (!file->is_partial()) return OpenOnce(file);
  ARROW_RETURN_NOT_OK(FetchEnds(*file, false));
  auto reader = OpenOnce(file);
  if (reader.ok() || CodeOf(reader.status()) != ErrorCode::kCorruption) return reader;
  // A cache is not synced, so a power loss may have left anything in it.
  ARROW_RETURN_NOT_OK(FetchEnds(*file, true));
  return OpenOnce(file);
}

Result<std::shared_ptr<SegmentReader>> SegmentReader::OpenOnce(
    const std::shared_ptr<io::MappedFile>& file) {
  std::shared_ptr<SegmentReader> reader(new SegmentReader(file));
  const auto check = [&]() -> Status {
    ARROW_RETURN_NOT_OK(reader->ReadFooter());
    ARROW_RETURN_NOT_OK(reader->CheckLayout());
    return reader->ReadColumns();
  };
  const Status checked = check();
  ARROW_RETURN_NOT_OK(reader->file_->CheckRead());  // what cannot be read looks like damage
  ARROW_RETURN_NOT_OK(checked);
  const SegmentFooter& footer = reader->footer_;
  reader->rows_ = reader->bytes_.data() + footer.row_offset;
  reader->buckets_ =
      reinterpret_cast<const format::IndexBucket*>(reader->bytes_.data() + footer.index_offset);
  reader->verified_ = std::make_unique<std::atomic<uint64_t>[]>((footer.block_count + 63) / 64);
  for (uint64_t block = 0; block < footer.block_count; ++block) {
    reader->unverified_hot_count_ += reader->IsHot(block) ? 1 : 0;
  }
  return reader;
}

Status SegmentReader::ReadFooter() {
  const std::string& path = file_->path();
  if (bytes_.size() < format::kBlockBytes + sizeof(SegmentFooter)) {
    return Corruption(path, bytes_.size(), "shorter than a header and a footer");
  }
  const auto header = LoadAs<SegmentHeader>(bytes_.data());
  if (header.magic != format::kSegmentMagic) {
    return Corruption(path, 0, "not a segment (wrong magic)");
  }
  if (header.version > format::kSegmentVersion) {
    return Unsupported(path + ": segment version " + std::to_string(header.version) +
                       " was written by a newer Fletching; this one reads up to " +
                       std::to_string(format::kSegmentVersion));
  }
  const uint64_t at = bytes_.size() - sizeof(SegmentFooter);
  footer_ = LoadAs<SegmentFooter>(bytes_.data() + at);
  if (footer_.magic != format::kSegmentMagic) {
    return Corruption(path, at + offsetof(SegmentFooter, magic),
                      "no footer: the file is cut short");
  }
  if (footer_.checksum != Checksum(bytes_.subspan(at, offsetof(SegmentFooter, checksum)))) {
    return Corruption(path, at, "footer checksum differs");
  }
  const uint64_t block_count =
      (footer_.blocks_offset + format::kBlockBytes - 1) / format::kBlockBytes;
  if (footer_.blocks_offset > at || footer_.blocks_offset % 8 != 0 ||
      footer_.block_count != block_count || (at - footer_.blocks_offset) / 8 != block_count ||
      (at - footer_.blocks_offset) % 8 != 0) {
    return Corruption(path, at, "block table does not fill the file up to the footer");
  }
  if (Checksum(bytes_.subspan(footer_.blocks_offset, block_count * 8)) != footer_.blocks_checksum) {
    return Corruption(path, footer_.blocks_offset, "block table checksum differs");
  }
  return Status::OK();
}

bool SegmentReader::InBlocks(uint64_t offset, uint64_t bytes) const {
  return offset <= footer_.blocks_offset && bytes <= footer_.blocks_offset - offset;
}

Status SegmentReader::CheckLayout() const {
  const SegmentFooter& f = footer_;
  const uint64_t at = bytes_.size() - sizeof(SegmentFooter);
  const auto damaged = [&](const char* what) { return Corruption(file_->path(), at, what); };
  if (f.row_unit_bytes != 8 && f.row_unit_bytes != 16 && f.row_unit_bytes != 32 &&
      f.row_unit_bytes != 64) {
    return damaged("row unit is none of 8, 16, 32, 64");
  }
  // Bytes in front of a row are read with it, so the header's block has to be there.
  if (!InBlocks(f.row_offset, f.row_bytes) || f.row_offset % format::kBlockBytes != 0 ||
      f.row_offset < format::kBlockBytes || f.row_bytes % f.row_unit_bytes != 0 ||
      f.row_bytes / f.row_unit_bytes > UINT32_MAX) {
    return damaged("row block reaches outside the file");
  }
  const uint64_t bucket_bytes = sizeof(format::IndexBucket);
  if (f.bucket_count > bytes_.size() / bucket_bytes ||
      !InBlocks(f.index_offset, f.bucket_count * bucket_bytes) || f.index_offset % 64 != 0 ||
      f.home_bucket_count == 0 || f.home_bucket_count > f.bucket_count) {
    return damaged("key index reaches outside the file");
  }
  if (f.dead_count > f.row_count || f.dead_count > bytes_.size() / 4 ||
      !InBlocks(f.dead_offset, f.dead_count * 4) || f.dead_offset % 4 != 0) {
    return damaged("dead rows reach outside the file");
  }
  if (!InBlocks(f.columns_offset, f.columns_bytes) ||
      f.column_count > f.columns_bytes / sizeof(ColumnEntry)) {
    return damaged("column table reaches outside the file");
  }
  const uint64_t ends_bytes = uint64_t{4} * f.var_count;
  if (f.key_width < -1 || f.key_width > static_cast<int32_t>(format::kKeyBytesMax) ||
      f.bits_bytes == 0 || f.var_count > f.column_count || f.fixed_bytes > (uint32_t{1} << 30) ||
      f.bits_bytes + ends_bytes > f.fixed_bytes) {
    return damaged("row layout does not add up");
  }
  if (f.time_offset != -1 &&
      (f.time_offset < static_cast<int32_t>(f.bits_bytes) ||
       static_cast<uint64_t>(f.time_offset) + 8 + ends_bytes > f.fixed_bytes)) {
    return damaged("commit time lies outside the row");
  }
  return Status::OK();
}

Status SegmentReader::CheckEntry(const ColumnEntry& entry, const arrow::DataType& type) const {
  const auto damaged = [&](const char* what) {
    return Corruption(file_->path(), footer_.columns_offset, what);
  };
  const Physical physical = PhysicalOf(type);
  if ((entry.is_variable != 0) != physical.is_variable || entry.width != physical.width) {
    return damaged("width of a column is not that of its type");
  }
  if (entry.encoding == static_cast<uint8_t>(Encoding::kPacked)) {
    const bool slot_fits = physical.is_variable ? entry.var_index < footer_.var_count
                                                : entry.slot_offset >= footer_.bits_bytes &&
                                                      uint64_t{entry.slot_offset} + entry.width +
                                                              uint64_t{4} * footer_.var_count <=
                                                          footer_.fixed_bytes;
    if (!slot_fits) return damaged("slot of a column lies outside the row");
    if (entry.null_bit / 8 >= footer_.bits_bytes) return damaged("null bit outside the row");
    return Status::OK();
  }
  // As with rows, bytes in front of a text are read with it.
  if (!InBlocks(entry.data_offset, entry.data_bytes) || entry.data_offset % 4 != 0 ||
      (entry.data_bytes > 0 && entry.data_offset < format::kBlockBytes)) {
    return damaged("column data reaches outside the file");
  }
  if (entry.encoding == static_cast<uint8_t>(Encoding::kConstant)) {
    if (!physical.is_variable && entry.data_bytes != entry.width) {
      return damaged("constant is not as wide as its type");
    }
    return Status::OK();
  }
  if (entry.encoding != static_cast<uint8_t>(Encoding::kSparse)) {
    return damaged("unknown column encoding");
  }
  const uint64_t value_bytes = physical.is_variable ? 4 : entry.width;
  if (entry.value_count > UINT32_MAX || entry.range_shift > 31) {
    return damaged("sparse column counts too much");
  }
  const uint64_t needed =
      entry.value_count * (4 + value_bytes) + 4 * (uint64_t{entry.range_count} + 1);
  if (physical.is_variable ? entry.data_bytes < needed : entry.data_bytes != needed) {
    return damaged("sparse column is not as long as its counts");
  }
  return Status::OK();
}

Status SegmentReader::ReadColumns() {
  const ByteSpan table = bytes_.subspan(footer_.columns_offset, footer_.columns_bytes);
  if (Checksum(table) != footer_.columns_checksum) {
    return Corruption(file_->path(), footer_.columns_offset, "column table checksum differs");
  }
  layout_.key_width = footer_.key_width;
  layout_.bits_bytes = footer_.bits_bytes;
  layout_.fixed_bytes = footer_.fixed_bytes;
  layout_.var_count = footer_.var_count;
  layout_.unit_bytes = footer_.row_unit_bytes;
  layout_.time_offset = footer_.time_offset;
  uint64_t text_at = footer_.column_count * sizeof(ColumnEntry);
  std::set<uint32_t> ids;
  for (uint32_t i = 0; i < footer_.column_count; ++i) {
    const auto entry = LoadAs<ColumnEntry>(table.data() + i * sizeof(ColumnEntry));
    const uint64_t text_bytes = uint64_t{entry.name_bytes} + entry.type_bytes;
    if (text_bytes > table.size() - text_at) {
      return Corruption(file_->path(), footer_.columns_offset, "column names are cut short");
    }
    const auto* text = reinterpret_cast<const char*>(table.data() + text_at);
    column_names_.emplace_back(text, entry.name_bytes);
    auto type = ParseTypeName({text + entry.name_bytes, entry.type_bytes});
    if (!type.ok()) {
      return Corruption(file_->path(), footer_.columns_offset, type.status().message());
    }
    ARROW_RETURN_NOT_OK(CheckEntry(entry, **type));
    if (!ids.insert(entry.column_id).second) {
      return Corruption(file_->path(), footer_.columns_offset, "a column is there twice");
    }
    layout_.columns.push_back({entry.column_id, *type, static_cast<Encoding>(entry.encoding),
                               entry.is_variable != 0, entry.width, entry.null_bit,
                               entry.slot_offset, entry.var_index});
    entries_.push_back(entry);
    text_at += text_bytes;
  }
  layout_.IndexColumns();
  column_verified_ = std::make_unique<std::atomic<bool>[]>(entries_.size());
  return Status::OK();
}

}  // namespace fletching::segment
