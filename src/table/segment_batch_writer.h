// Batches of one large write as segment files. Stage: seal.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/ignore_error.h"
#include "segment/segment_writer.h"
#include "table/prepare.h"
#include "table/segment_plan.h"
#include "table/table.h"

namespace fletching::table {

// Rows prepared at a time: bounds the memory of hashes and casts whatever the caller's batches are.
inline constexpr int64_t kSliceRows = 64 * 1024;

// Writes the batches of one large write into as many segment files as it takes (nearly always one),
// and removes them again unless Take is called.
class Table::SegmentBatchWriter {
 public:
  SegmentBatchWriter(Table* table, std::shared_ptr<const TableState> state)
      : table_(table), state_(std::move(state)) {}

  ~SegmentBatchWriter() {
    for (const uint64_t number : numbers_) {
      IgnoreError(table_->context_.file_system->Remove(table_->SegmentPath(number)));
    }
  }

  Status Append(std::vector<PreparedBatch> batches) {
    if (writer_ == nullptr) ARROW_RETURN_NOT_OK(Begin(batches));
    for (const PreparedBatch& batch : batches) {
      ARROW_RETURN_NOT_OK(writer_->Append(RowsForLayout(*state_, batch, layout_)));
    }
    const bool is_full = writer_->sparse_bytes() > kSparseBytesMax ||
                         writer_->row_bytes() / layout_.unit_bytes > kRowAddressesMax;
    return is_full ? End() : Status::OK();
  }

  // The finished, durable segments, oldest first. Their files stay.
  Result<std::vector<Source>> Take() {
    if (writer_ != nullptr) ARROW_RETURN_NOT_OK(End());
    if (table_->context_.durable) {
      ARROW_RETURN_NOT_OK(table_->context_.file_system->SyncFolder(table_->folder_));
    }
    std::vector<Source> sources;
    for (const uint64_t number : numbers_) {
      ARROW_ASSIGN_OR_RAISE(Source source, table_->OpenSegment(number, *state_));
      source.segment->WarmUp();
      source.newest_time_us = table_->Now();
      sources.push_back(std::move(source));
    }
    return sources;
  }
  void Keep() { numbers_.clear(); }

 private:
  // Sparse values wait in memory for the end of their segment; beyond this a new segment is begun,
  // whose layout is chosen anew.
  static constexpr uint64_t kSparseBytesMax = uint64_t{64} << 20;
  static constexpr uint64_t kRowAddressesMax = (uint64_t{1} << 32) - (uint64_t{1} << 24);

  Status Begin(const std::vector<PreparedBatch>& sample) {
    segment::SegmentSpec spec = PlanSegment(*state_, MeasureBatches(*state_, sample, false),
                                            AverageRowBytes(sample), table_->HowToSeal());
    layout_ = spec.layout;
    const uint64_t number = table_->next_segment_.fetch_add(1);
    numbers_.push_back(number);
    ARROW_ASSIGN_OR_RAISE(writer_,
                          segment::SegmentWriter::Create(table_->context_.file_system,
                                                         table_->SegmentPath(number), spec));
    return Status::OK();
  }
  Status End() {
    const Status status = writer_->Finish().status();
    writer_.reset();
    return status;
  }

  Table* const table_;
  const std::shared_ptr<const TableState> state_;
  std::vector<uint64_t> numbers_;
  std::unique_ptr<segment::SegmentWriter> writer_;
  segment::RowLayout layout_;
};

}  // namespace fletching::table
