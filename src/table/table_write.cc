// Writes and deletes up to the commit queue.
#include <algorithm>
#include <utility>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/byte_size.h>

#include "base/futex.h"
#include "base/metrics.h"
#include "table/pending_write.h"
#include "table/segment_batch_writer.h"
#include "table/table.h"

namespace fletching::table {
namespace {

using RecordBatches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

// A patch is filled and encoded in memory.
constexpr int64_t kPatchBytesMax = int64_t{256} << 20;
// Frozen memory tables that may wait for the background thread before writers do its work.
constexpr int64_t kFrozenMax = Table::kMemtablesMax - 1;

// About what the rows of a column take when packed. Nothing was validated yet.
Result<int64_t> ColumnBytes(const arrow::Array& column) {
  if (arrow::is_fixed_width(column.type_id())) {
    const auto& type = static_cast<const arrow::FixedWidthType&>(*column.type());
    return column.length() * ((type.bit_width() + 7) / 8);
  }
  // Arrow's ReferencedBufferSize reads offsets, and takes 3 us a column.
  ARROW_RETURN_NOT_OK(column.Validate());
  if (!arrow::is_binary_like(column.type_id())) return arrow::util::ReferencedBufferSize(column);
  return static_cast<const arrow::BinaryArray&>(column).total_values_length() + column.length() * 4;
}

Result<int64_t> BatchBytes(const arrow::RecordBatch& batch) {
  int64_t bytes = 0;
  for (const auto& column : batch.columns()) {
    ARROW_ASSIGN_OR_RAISE(const int64_t column_bytes, ColumnBytes(*column));
    bytes += column_bytes;
  }
  return bytes;
}

}  // namespace

// Writers who arrive while a group is being committed form the next one; the first of them leads
// it. bench/yardstick/group_floor.cc is this and nothing else.
Result<WriteResult> Table::Submit(PendingWrite* write) {
  std::shared_ptr<WriteGroup> group;
  bool leads = false;
  {
    const std::lock_guard lock(queue_mutex_);
    leads = forming_ == nullptr;
    if (leads) forming_ = std::make_shared<WriteGroup>();
    group = forming_;
    group->members.push_back(write);
    if (leads && !std::exchange(is_committing_, true)) group->may_commit.store(1);
  }
  if (leads) {
    LeadGroup(group.get());
  } else {
    WaitWhile(group->is_done, 0);
  }
  if (NeedsMaintenance()) context_.wake_worker();
  ARROW_RETURN_NOT_OK(write->status);
  return WriteResult{write->row_count, write->commit};
}

void Table::LeadGroup(WriteGroup* group) {
  WaitWhile(group->may_commit, 0);
  {
    const std::lock_guard lock(queue_mutex_);
    forming_ = nullptr;
  }
  CommitGroup(group->members);
  std::shared_ptr<WriteGroup> next;
  {
    const std::lock_guard lock(queue_mutex_);
    next = forming_;
    if (next == nullptr) is_committing_ = false;
  }
  // The next group's bytes are on their way to the disk while members of this one wake up.
  if (next != nullptr) SetAndWake(next->may_commit, 1);
  if (group->members.size() > 1) SetAndWakeAll(group->is_done, 1);
}

Result<WriteResult> Table::WriteSmall(const WriteRequest& request, const RecordBatches& batches) {
  while (true) {
    PendingWrite write;
    write.state = PinVersion()->state;
    write.is_patch = request.mode == WriteMode::kPatch;
    write.time_us = Now();
    for (const auto& batch : batches) {
      ARROW_ASSIGN_OR_RAISE(PreparedBatch prepared,
                            PrepareBatch(*write.state, *context_.caster, *batch, request.mode,
                                         request.ignore_extra_columns, write.time_us));
      if (!write.is_patch) ARROW_RETURN_NOT_OK(EncodeLogRows(*write.state, prepared, &write.rows));
      write.row_count += prepared.row_count;
      write.batches.push_back(std::move(prepared));
    }
    if (write.row_count == 0) return WriteResult{0, PinVersion()->commit};
    auto result = Submit(&write);
    if (!result.ok() || !write.must_retry) return result;
  }
}

Result<WriteResult> Table::WriteLarge(const WriteRequest& request, RecordBatches batches,
                                      arrow::RecordBatchReader* source) {
  PendingWrite write;
  const auto state = PinVersion()->state;
  write.time_us = Now();
  SegmentBatchWriter segments(this, state);
  std::vector<PreparedBatch> prepared;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    for (const auto& held : batches) {
      for (int64_t first = 0; first < held->num_rows(); first += kSliceRows) {
        ARROW_ASSIGN_OR_RAISE(
            PreparedBatch slice,
            PrepareBatch(*state, *context_.caster, *held->Slice(first, kSliceRows), request.mode,
                         request.ignore_extra_columns, write.time_us));
        write.row_count += slice.row_count;
        prepared.push_back(std::move(slice));
        // The first piece is the sample the layout is chosen from; then one by one.
        ARROW_RETURN_NOT_OK(segments.Append(std::exchange(prepared, {})));
        if (request.on_progress) ARROW_RETURN_NOT_OK(request.on_progress(write.row_count));
      }
    }
    batches.clear();
    ARROW_RETURN_NOT_OK(source->ReadNext(&batch));
    if (batch == nullptr) break;
    batches.push_back(std::move(batch));
  }
  ARROW_ASSIGN_OR_RAISE(write.segments, segments.Take());
  for (const Source& segment : write.segments) {
    const size_t at = write.segment_numbers.size();
    write.segment_numbers.resize(at + 8);
    StoreAs(write.segment_numbers.data() + at, segment.number);
  }
  auto result = Submit(&write);
  // A log whose sync failed may name them all the same; CommitGroup sees to them then.
  if (result.ok() || write.commit != 0) segments.Keep();
  return result;
}

Status Table::CheckIsWriter() const {
  if (is_writer_) return Status::OK();
  return InvalidArgument("opened read-only; open with mode \"a\" or \"w\" to write");
}

Status Table::CheckTakesWrites() const {
  ARROW_RETURN_NOT_OK(CheckIsWriter());
  const auto& generation = PinVersion()->state->generation;
  if (!generation.has_value() || generation->name.empty()) return Status::OK();
  return InvalidArgument("table '" + name_ + "' is loaded as a whole (generation " +
                         generation->name +
                         ") and takes no other writes; write where it is loaded from");
}

Result<WriteResult> Table::Write(const WriteRequest& request, arrow::RecordBatchReader* source) {
  ARROW_RETURN_NOT_OK(CheckTakesWrites());
  int64_t frozen = 0;
  for (const Source& s : PinVersion()->sources) frozen += s.memtable != nullptr ? 1 : 0;
  if (frozen > kFrozenMax) ARROW_RETURN_NOT_OK(Flush());

  RecordBatches batches;
  int64_t bytes = 0;
  const int64_t bytes_max =
      request.mode == WriteMode::kPatch ? kPatchBytesMax : context_.small_write_bytes_max;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (bytes <= bytes_max) {
    ARROW_RETURN_NOT_OK(source->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_ASSIGN_OR_RAISE(const int64_t batch_bytes, BatchBytes(*batch));
    bytes += batch_bytes;
    batches.push_back(std::move(batch));
  }
  if (bytes > bytes_max) {
    if (request.mode == WriteMode::kPatch) {
      return TooLarge("a patch is limited to 256 MiB; send it in several parts");
    }
    auto written = WriteLarge(request, std::move(batches), source);
    if (written.ok()) counters_.rows_written->Add(written->row_count);
    return written;
  }
  if (batches.empty()) {
    ARROW_ASSIGN_OR_RAISE(batch, arrow::RecordBatch::MakeEmpty(source->schema()));
    batches.push_back(std::move(batch));
  }
  auto written = WriteSmall(request, batches);
  if (written.ok()) counters_.rows_written->Add(written->row_count);
  return written;
}

Result<WriteResult> Table::Delete(const DeleteRequest& request) {
  ARROW_RETURN_NOT_OK(CheckTakesWrites());
  while (true) {
    PendingWrite write;
    write.state = PinVersion()->state;
    write.time_us = Now();
    ARROW_ASSIGN_OR_RAISE(segment::KeyBatch keys,
                          PrepareKeys(*write.state, *context_.caster, request.keys));
    ARROW_ASSIGN_OR_RAISE(
        PreparedBatch prepared,
        PrepareDelete(*write.state, std::move(keys), request.event_time_us.value_or(write.time_us),
                      write.time_us));
    write.row_count = prepared.row_count;
    if (write.row_count == 0) return WriteResult{0, PinVersion()->commit};
    ARROW_RETURN_NOT_OK(EncodeLogRows(*write.state, prepared, &write.rows));
    write.batches.push_back(std::move(prepared));
    auto result = Submit(&write);
    if (!result.ok() || !write.must_retry) return result;
  }
}

}  // namespace fletching::table
