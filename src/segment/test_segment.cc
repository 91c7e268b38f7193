#include "segment/test_segment.h"

#include <algorithm>
#include <cstring>

#include <arrow/api.h>

#include "base/check.h"
#include "segment/memory_budget.h"

namespace fletching::segment {

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  FLETCHING_CHECK(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> Numbers(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  for (const int64_t value : values) {
    FLETCHING_CHECK((value < 0 ? builder.AppendNull() : builder.Append(value)).ok());
  }
  return builder.Finish().ValueOrDie();
}

PartialCopy::PartialCopy(std::shared_ptr<io::MappedFile> whole)
    : whole_(std::move(whole)),
      bytes_(whole_->bytes().size(), 0xab),
      is_here_((bytes_.size() + kPieceBytes - 1) / kPieceBytes) {}

bool PartialCopy::IsHere(const io::FileRange& range) const {
  const uint64_t end = range.offset_bytes + range.size_bytes;
  for (uint64_t piece = range.offset_bytes / kPieceBytes; piece * kPieceBytes < end; ++piece) {
    if (!is_here_[piece]) return false;
  }
  return true;
}

Status PartialCopy::Fetch(std::span<const io::FileRange> ranges, const Accept& accept) const {
  ++fetch_count;
  range_count += static_cast<int>(ranges.size());
  ARROW_RETURN_NOT_OK(trouble);
  for (const io::FileRange& range : ranges) {
    const uint64_t end = range.offset_bytes + range.size_bytes;
    FLETCHING_CHECK(range.offset_bytes % kPieceBytes == 0);
    FLETCHING_CHECK(end % kPieceBytes == 0 || end == bytes_.size());
    const ByteSpan source = whole_->bytes().subspan(range.offset_bytes, range.size_bytes);
    std::vector<uint8_t> got(source.begin(), source.end());
    if (damage_at >= range.offset_bytes && damage_at < end) {
      got[damage_at - range.offset_bytes] ^= 1;
    }
    ARROW_RETURN_NOT_OK(accept(range.offset_bytes, got));
    std::memcpy(bytes_.data() + range.offset_bytes, got.data(), got.size());
    fetched_bytes += got.size();
    for (uint64_t at = range.offset_bytes; at < end; at += kPieceBytes) {
      is_here_[at / kPieceBytes] = true;
    }
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::Array>> ReadColumn(const SegmentReader& reader, const KeyArrays& keys,
                                                 uint32_t column_id,
                                                 const std::shared_ptr<arrow::DataType>& type,
                                                 int64_t* found_count) {
  const KeyBatch batch = EncodeKeys(keys).ValueOrDie();
  const auto count = static_cast<size_t>(batch.count);
  std::vector<uint64_t> hashes(count);
  HashKeys(batch, kSeed, hashes.data());
  KeySelection selection;
  selection.keys = &batch;
  selection.hashes = hashes.data();
  selection.hash_seed = kSeed;
  RowArena arena;
  selection.arena = &arena;
  std::vector<const uint8_t*> bodies(count);
  std::vector<uint32_t> rows(count);
  ARROW_ASSIGN_OR_RAISE(*found_count, reader.Find(selection, bodies.data(), rows.data()));
  std::vector<uint32_t> positions;
  std::vector<const uint8_t*> found_bodies;
  std::vector<uint32_t> found_rows;
  std::shared_ptr<arrow::Buffer> found = arrow::AllocateBuffer((batch.count + 7) / 8).ValueOrDie();
  std::memset(found->mutable_data(), 0, static_cast<size_t>(found->size()));
  for (size_t i = 0; i < count; ++i) {
    if (bodies[i] == nullptr) continue;
    SetBit(found->mutable_data(), static_cast<int64_t>(i));
    positions.push_back(static_cast<uint32_t>(i));
    found_bodies.push_back(bodies[i]);
    found_rows.push_back(rows[i]);
  }
  const int64_t width = PhysicalOf(*type).width;
  std::shared_ptr<arrow::Buffer> values = arrow::AllocateBuffer(batch.count * width).ValueOrDie();
  ColumnOutput output(type, batch.count, values, positions.size() == count);
  const RowSelection selected{found_bodies.data(), found_rows.data(), positions.data(),
                              static_cast<int64_t>(positions.size())};
  ARROW_RETURN_NOT_OK(reader.Gather(std::span(&column_id, 1), selected, &output));
  const auto array =
      output
          .Finish(positions.size() == count ? nullptr : found,
                  positions.size() == count ? batch.count : static_cast<int64_t>(positions.size()))
          .ValueOrDie();
  FLETCHING_CHECK(array->ValidateFull().ok());
  return array;
}

Segment::Segment(const Plan& plan, const std::vector<KeyArrays>& keys,
                 const std::vector<std::vector<std::shared_ptr<arrow::Array>>>& columns) {
  SegmentSpec spec;
  spec.layout = PlaceColumns(plan.key_width, plan.columns, false);
  spec.layout.unit_bytes = plan.unit_bytes;
  spec.hash_seed = kSeed;
  spec.event_time_index = plan.event_time_index;
  for (const ColumnPlan& column : plan.columns) {
    spec.column_names.push_back("column" + std::to_string(column.column_id));
  }
  auto writer = SegmentWriter::Create(&disk_, "/s", spec).ValueOrDie();
  for (size_t batch = 0; batch < keys.size(); ++batch) {
    const KeyBatch key_batch = EncodeKeys(keys[batch]).ValueOrDie();
    RowBatch rows;
    rows.keys = &key_batch;
    for (const auto& column : columns[batch]) {
      rows.columns.push_back(MakePhysical(column).ValueOrDie());
    }
    FLETCHING_CHECK(writer->Append(rows).ok());
  }
  summary_ = writer->Finish().ValueOrDie();
  reader_ = SegmentReader::Open(disk_.Map("/s").ValueOrDie()).ValueOrDie();
  const uint64_t row_bytes = reader_->footer().row_bytes;
  // Room for the rows of neither of two, but for some in the cache.
  const uint64_t budget_bytes = 2 * (reader_->file_bytes() - row_bytes) + row_bytes / 2;
  const auto budget =
      std::make_shared<MemoryBudget>(static_cast<int64_t>(budget_bytes), 0, nullptr);
  others_.push_back(SegmentReader::Open(MakePartial()).ValueOrDie());
  others_.push_back(SegmentReader::Open(disk_.Map("/s").ValueOrDie(), budget).ValueOrDie());
  others_.push_back(SegmentReader::Open(MakePartial(), budget).ValueOrDie());
  FLETCHING_CHECK(row_bytes == 0 || budget->usage().mapped_row_bytes == 0);
}

std::shared_ptr<PartialCopy> Segment::MakePartial() {
  return std::make_shared<PartialCopy>(disk_.Map("/s").ValueOrDie());
}

std::shared_ptr<arrow::Array> Segment::Read(const KeyArrays& keys, uint32_t column_id,
                                            const std::shared_ptr<arrow::DataType>& type) {
  const auto array = ReadColumn(*reader_, keys, column_id, type, &found_count).ValueOrDie();
  for (const auto& other : others_) {
    for (int time = 0; time < 2; ++time) {  // the second time from the row cache
      int64_t found = 0;
      const auto same = ReadColumn(*other, keys, column_id, type, &found).ValueOrDie();
      FLETCHING_CHECK(found == found_count && same->Equals(array));
    }
  }
  return array;
}

}  // namespace fletching::segment
