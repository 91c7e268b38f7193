#include "segment/segment_writer.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/check.h"
#include "base/checksum.h"

namespace fletching::segment {
namespace {

using format::ColumnEntry;
using format::Encoding;
using format::SegmentFooter;

// Rows encoded at a time: 2,048 rows of 64 bytes fit the L2 cache beside their source columns.
constexpr int64_t kEncodeRows = 2048;
// Sparse look-ups begin in a table with one entry per range of about this many values.
constexpr uint64_t kSparseValuesPerRange = 16;

template <typename T>
ByteSpan BytesOf(const std::vector<T>& items) {
  return {reinterpret_cast<const uint8_t*>(items.data()), items.size() * sizeof(T)};
}

template <typename T>
ByteSpan BytesOfStruct(const T& item) {
  return {reinterpret_cast<const uint8_t*>(&item), sizeof(T)};
}

// First sparse value at or behind each multiple of 2^shift row addresses, and the end.
std::vector<uint32_t> RangeStarts(const std::vector<uint32_t>& rows, uint32_t shift) {
  const uint32_t range_count = rows.empty() ? 0 : (rows.back() >> shift) + 1;
  std::vector<uint32_t> starts(range_count + 1);
  size_t at = 0;
  for (uint32_t range = 0; range < range_count; ++range) {
    while (at < rows.size() && (rows[at] >> shift) < range) ++at;
    starts[range] = static_cast<uint32_t>(at);
  }
  starts[range_count] = static_cast<uint32_t>(rows.size());
  return starts;
}

uint32_t ChooseRangeShift(const std::vector<uint32_t>& rows) {
  uint32_t shift = 0;
  while (shift < 31 && (uint64_t{rows.back()} >> shift) * kSparseValuesPerRange > rows.size()) {
    ++shift;
  }
  return shift;
}

}  // namespace

Result<std::unique_ptr<SegmentWriter>> SegmentWriter::Create(io::FileSystem* file_system,
                                                             const std::string& path,
                                                             SegmentSpec spec) {
  ARROW_ASSIGN_OR_RAISE(auto file, file_system->Create(path));
  std::unique_ptr<io::ScratchMemory> scratch;
  if (spec.index_in_scratch) {
    scratch = io::ScratchMemory::Make(std::filesystem::path(path).parent_path());
  }
  std::unique_ptr<SegmentWriter> writer(
      new SegmentWriter(std::move(file), std::move(spec), std::move(scratch)));
  const format::SegmentHeader header{format::kSegmentMagic, format::kSegmentVersion,
                                     format::kBlockBytes};
  ARROW_RETURN_NOT_OK(writer->out_.Append(BytesOfStruct(header)));
  ARROW_RETURN_NOT_OK(writer->out_.AlignTo(format::kBlockBytes));
  writer->row_end_ = writer->out_.offset_bytes();
  return writer;
}

SegmentWriter::SegmentWriter(std::unique_ptr<io::AppendFile> file, SegmentSpec spec,
                             std::unique_ptr<io::ScratchMemory> scratch)
    : spec_(std::move(spec)),
      out_(std::move(file)),
      index_(std::move(scratch)),
      data_(spec_.layout.columns.size()) {}

uint64_t SegmentWriter::row_bytes() const { return row_end_ - format::kBlockBytes; }

Status SegmentWriter::Append(const RowBatch& batch) {
  const RowLayout& layout = spec_.layout;
  std::vector<uint64_t> hashes(static_cast<size_t>(batch.keys->count));
  HashKeys(*batch.keys, spec_.hash_seed, hashes.data());
  std::vector<uint64_t> starts;
  std::vector<uint32_t> rows;
  for (int64_t first = 0; first < batch.keys->count; first += kEncodeRows) {
    const int64_t count = std::min(kEncodeRows, batch.keys->count - first);
    ARROW_RETURN_NOT_OK(
        EncodeRows(layout, batch, first, count, 0, out_.buffer(), &starts, nullptr));
    const uint64_t base = out_.buffer_offset_bytes() - format::kBlockBytes;
    rows.resize(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t address = (base + starts[i]) / layout.unit_bytes;
      if (address > UINT32_MAX) return TooLarge("a segment holds at most 2^32 row addresses");
      rows[i] = static_cast<uint32_t>(address);
      index_.Add(hashes[first + i], rows[i]);
    }
    Collect(batch, first, count, rows);
    ARROW_RETURN_NOT_OK(out_.Pour());
  }
  CountValues(batch);
  row_count_ += static_cast<uint64_t>(batch.keys->count);
  row_end_ = out_.offset_bytes();
  for (int64_t i = 0; batch.tombstones != nullptr && i < batch.keys->count; ++i) {
    tombstone_count_ += batch.tombstones[i];
  }
  return Status::OK();
}

void SegmentWriter::CountValues(const RowBatch& batch) {
  const int64_t count = batch.keys->count;
  for (size_t c = 0; c < data_.size(); ++c) {
    const PhysicalColumn& source = batch.columns[c];
    if (spec_.layout.columns[c].encoding != Encoding::kPacked || source.all_null()) continue;
    if (source.validity == nullptr && batch.tombstones == nullptr) {
      data_[c].value_count += static_cast<uint64_t>(count);
      continue;
    }
    for (int64_t row = 0; row < count; ++row) {
      const bool is_deleted = batch.tombstones != nullptr && batch.tombstones[row] != 0;
      if (!is_deleted && !source.IsNull(row)) ++data_[c].value_count;
    }
  }
}

void SegmentWriter::Collect(const RowBatch& batch, int64_t first, int64_t count,
                            const std::vector<uint32_t>& rows) {
  for (size_t c = 0; c < data_.size(); ++c) {
    const LayoutColumn& column = spec_.layout.columns[c];
    const PhysicalColumn& source = batch.columns[c];
    ColumnData& data = data_[c];
    if (column.encoding == Encoding::kPacked || source.all_null()) continue;
    if (column.encoding == Encoding::kConstant) {
      if (!data.has_constant && count > 0) {
        const ByteSpan value = source.Value(first);
        data.values.assign(value.begin(), value.end());
        data.has_constant = true;
      }
      continue;
    }
    for (int64_t i = 0; i < count; ++i) {
      if (source.IsNull(first + i)) continue;
      const ByteSpan value = source.Value(first + i);
      data.rows.push_back(rows[i]);
      data.values.insert(data.values.end(), value.begin(), value.end());
      if (column.is_variable) data.ends.push_back(static_cast<uint32_t>(data.values.size()));
      sparse_bytes_ += value.size() + 4;
    }
  }
}

Result<std::vector<uint8_t>> SegmentWriter::ReadKey(uint32_t row) {
  const uint64_t at = format::kBlockBytes + uint64_t{row} * spec_.layout.unit_bytes;
  uint8_t length[2] = {};
  const uint32_t prefix = spec_.layout.key_prefix_bytes();
  if (prefix != 0) ARROW_RETURN_NOT_OK(out_.ReadAt(at, length));
  std::vector<uint8_t> key(prefix != 0 ? LoadAs<uint16_t>(length)
                                       : static_cast<size_t>(spec_.layout.key_width));
  ARROW_RETURN_NOT_OK(out_.ReadAt(at + prefix, key));
  return key;
}

Result<int64_t> SegmentWriter::ReadEventTime(uint32_t row, size_t key_bytes) {
  const LayoutColumn& column = spec_.layout.columns[spec_.event_time_index];
  const uint64_t body = format::kBlockBytes + uint64_t{row} * spec_.layout.unit_bytes +
                        spec_.layout.key_prefix_bytes() + key_bytes;
  uint8_t bytes[8];
  ARROW_RETURN_NOT_OK(out_.ReadAt(body + column.slot_offset, bytes));
  return LoadAs<int64_t>(bytes);
}

Result<IndexBuilder::Collision> SegmentWriter::Resolve(uint32_t older_row, uint32_t newer_row) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint8_t> older, ReadKey(older_row));
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint8_t> newer, ReadKey(newer_row));
  if (older != newer) return IndexBuilder::Collision::kDifferentKeys;
  if (spec_.event_time_index < 0) return IndexBuilder::Collision::kNewerWins;
  ARROW_ASSIGN_OR_RAISE(const int64_t older_time, ReadEventTime(older_row, older.size()));
  ARROW_ASSIGN_OR_RAISE(const int64_t newer_time, ReadEventTime(newer_row, newer.size()));
  return newer_time >= older_time ? IndexBuilder::Collision::kNewerWins
                                  : IndexBuilder::Collision::kOlderWins;
}

Status SegmentWriter::WriteColumnData(std::vector<ColumnEntry>* entries) {
  for (size_t c = 0; c < data_.size(); ++c) {
    const LayoutColumn& column = spec_.layout.columns[c];
    ColumnData& data = data_[c];
    ColumnEntry entry{};
    entry.column_id = column.column_id;
    entry.encoding = static_cast<uint8_t>(column.encoding);
    entry.is_variable = column.is_variable ? 1 : 0;
    entry.width = column.width;
    entry.value_count = data.value_count;
    // No null came: readers need not look at the bits of rows that may not be deleted.
    const bool has_nulls = data.value_count + tombstone_count_ != row_count_;
    entry.null_bit = has_nulls ? column.null_bit : 0;
    entry.slot_offset = column.slot_offset;
    entry.var_index = column.var_index;
    const bool has_data =
        column.encoding == Encoding::kPacked ||
        (column.encoding == Encoding::kSparse ? !data.rows.empty() : data.has_constant);
    if (!has_data) {  // absent: not even an entry
      entries->push_back(ColumnEntry{});
      continue;
    }
    if (column.encoding != Encoding::kPacked) {
      ARROW_RETURN_NOT_OK(out_.AlignTo(8));
      entry.data_offset = out_.offset_bytes();
      if (column.encoding == Encoding::kSparse) {
        entry.value_count = data.rows.size();
        entry.range_shift = ChooseRangeShift(data.rows);
        const std::vector<uint32_t> starts = RangeStarts(data.rows, entry.range_shift);
        entry.range_count = static_cast<uint32_t>(starts.size() - 1);
        ARROW_RETURN_NOT_OK(out_.Append(BytesOf(data.rows)));
        ARROW_RETURN_NOT_OK(out_.Append(BytesOf(starts)));
        if (column.is_variable) ARROW_RETURN_NOT_OK(out_.Append(BytesOf(data.ends)));
      }
      ARROW_RETURN_NOT_OK(out_.Append(data.values));
      entry.data_bytes = out_.offset_bytes() - entry.data_offset;
    }
    data = ColumnData{};
    entries->push_back(entry);
  }
  return Status::OK();
}

Status SegmentWriter::WriteColumns(const std::vector<ColumnEntry>& entries, SegmentFooter* footer) {
  std::vector<uint8_t> bytes;
  std::string text;
  for (size_t c = 0; c < entries.size(); ++c) {
    if (entries[c].encoding == 0) continue;  // absent
    ColumnEntry entry = entries[c];
    const std::string type = TypeName(*spec_.layout.columns[c].type);
    entry.name_bytes = static_cast<uint32_t>(spec_.column_names[c].size());
    entry.type_bytes = static_cast<uint32_t>(type.size());
    text += spec_.column_names[c] + type;
    const ByteSpan entry_bytes = BytesOfStruct(entry);
    bytes.insert(bytes.end(), entry_bytes.begin(), entry_bytes.end());
    ++footer->column_count;
  }
  bytes.insert(bytes.end(), text.begin(), text.end());
  ARROW_RETURN_NOT_OK(out_.AlignTo(8));
  footer->columns_offset = out_.offset_bytes();
  footer->columns_bytes = bytes.size();
  footer->columns_checksum = Checksum(bytes);
  return out_.Append(bytes);
}

Result<SegmentSummary> SegmentWriter::Finish() {
  const RowLayout& layout = spec_.layout;
  SegmentFooter footer{};
  footer.row_offset = format::kBlockBytes;
  footer.row_bytes = row_bytes();
  footer.row_count = row_count_;
  footer.tombstone_count = tombstone_count_;
  footer.hash_seed = spec_.hash_seed;
  footer.row_unit_bytes = layout.unit_bytes;
  footer.key_width = layout.key_width;
  footer.bits_bytes = layout.bits_bytes;
  footer.fixed_bytes = layout.fixed_bytes;
  footer.var_count = layout.var_count;
  footer.time_offset = layout.time_offset;
  footer.version = format::kSegmentVersion;

  std::vector<ColumnEntry> entries;
  ARROW_RETURN_NOT_OK(WriteColumnData(&entries));
  ARROW_RETURN_NOT_OK(out_.AlignTo(format::kBlockBytes));
  footer.index_offset = out_.offset_bytes();
  ARROW_ASSIGN_OR_RAISE(
      const IndexBuilder::Shape shape,
      index_.Finish([this](uint32_t older, uint32_t newer) { return Resolve(older, newer); },
                    [this](std::span<const format::IndexBucket> buckets) {
                      return out_.Append(
                          {reinterpret_cast<const uint8_t*>(buckets.data()), buckets.size_bytes()});
                    }));
  footer.home_bucket_count = shape.home_bucket_count;
  footer.bucket_count = shape.bucket_count;
  footer.dead_offset = out_.offset_bytes();
  footer.dead_count = shape.dead_rows.size();
  ARROW_RETURN_NOT_OK(out_.Append(BytesOf(shape.dead_rows)));
  ARROW_RETURN_NOT_OK(WriteColumns(entries, &footer));
  ARROW_RETURN_NOT_OK(out_.AlignTo(8));

  footer.blocks_offset = out_.offset_bytes();
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint64_t> blocks, out_.FinishBlocks());
  footer.block_count = blocks.size();
  footer.blocks_checksum = Checksum(BytesOf(blocks));
  footer.checksum = Checksum(BytesOfStruct(footer).first(offsetof(SegmentFooter, checksum)));
  footer.magic = format::kSegmentMagic;
  std::vector<uint8_t> tail(BytesOf(blocks).begin(), BytesOf(blocks).end());
  const ByteSpan footer_bytes = BytesOfStruct(footer);
  tail.insert(tail.end(), footer_bytes.begin(), footer_bytes.end());
  ARROW_RETURN_NOT_OK(out_.FinishFile(tail, spec_.durable));
  return SegmentSummary{row_count_ - footer.dead_count, footer.blocks_offset + tail.size()};
}

}  // namespace fletching::segment
