// Group commit: one leader writes the log for everyone who waits. Held: commit_mutex_.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/ignore_error.h"
#include "format/file_names.h"
#include "segment/physical.h"
#include "table/pending_write.h"
#include "table/read.h"
#include "table/table.h"

namespace fletching::table {

using format::RecordHeader;
using format::RecordKind;

void Table::PushMemtable(uint64_t bytes_needed) {
  // Slack for the first bytes of the arena and for hash slots of very short rows.
  const uint64_t capacity =
      std::max(static_cast<uint64_t>(context_.memtable_bytes_max), 4 * bytes_needed + (1 << 16));
  Source source;
  source.memtable = std::make_shared<Memtable>(state_->full_layout, state_->hash_seed,
                                               state_->event_time_index, capacity);
  source.commit = UINT64_MAX;
  if (!sources_.empty() && sources_[0].memtable != nullptr && sources_[0].commit == UINT64_MAX) {
    if (sources_[0].memtable->row_count() == 0) {
      sources_.erase(sources_.begin());
    } else {
      sources_[0].commit = last_commit_;
    }
  }
  sources_.insert(sources_.begin(), std::move(source));
}

void Table::PublishVersion(uint64_t commit) {
  auto* version = new Version();
  version->state = state_;
  version->sources = sources_;
  version->commit = commit;
  current_.Publish(version);
  log_bytes_.store(log_ != nullptr ? static_cast<int64_t>(log_->valid_bytes()) : 0,
                   std::memory_order_relaxed);
}

Status Table::RotateLog() {
  const uint64_t number = ++last_log_number_;
  const uint64_t previous = log_ != nullptr ? log_->number() : prior_log_number_;
  const uint64_t previous_bytes = log_ != nullptr ? log_->valid_bytes() : prior_log_bytes_;
  auto log = LogWriter::Create(context_.file_system, folder_, number, previous, previous_bytes,
                               context_.random(), context_.durable);
  if (!log.ok()) {
    // It may be there all the same, now or after a power loss, and says where the log before it
    // ends. So that one is not appended to again: the next attempt makes a newer one that counts.
    IgnoreError(context_.file_system->Remove(folder_ + "/" + format::LogFileName(number)));
    LeaveLog();
    return log.status();
  }
  log_ = *std::move(log);
  RemoveSegments(std::exchange(doomed_segments_, {}));
  return Status::OK();
}

Status Table::EnsureLog() { return log_ != nullptr ? Status::OK() : RotateLog(); }

void Table::LeaveLog() {
  if (log_ == nullptr) return;
  prior_log_number_ = log_->number();
  prior_log_bytes_ = log_->valid_bytes();
  log_.reset();
}

// The log's end is unknown: continue in a new one, and hide rows of the failed group, which stay in
// the frozen memory table, behind its commit bound.
void Table::AbandonLog(std::vector<Source> sources_before, uint64_t commit_before) {
  LeaveLog();
  sources_ = std::move(sources_before);
  const uint64_t last = std::exchange(last_commit_, commit_before);
  PushMemtable(0);
  last_commit_ = last;
  PublishVersion(commit_before);
}

// Columns a patch does not name keep what the newest row has, rows of this very group included.
Status Table::FillPatch(PreparedBatch* batch) const {
  Version latest;
  latest.state = state_;
  latest.sources = sources_;
  latest.commit = last_commit_;
  std::vector<const ColumnSchema*> missing;
  for (size_t c = 0; c < batch->columns.size(); ++c) {
    if (!batch->is_given[c]) missing.push_back(&state_->value_columns[c]);
  }
  ARROW_ASSIGN_OR_RAISE(auto columns, ReadColumns(latest, batch->keys, missing, Now()));
  size_t next = 0;
  for (size_t c = 0; c < batch->columns.size(); ++c) {
    if (batch->is_given[c]) continue;
    const std::shared_ptr<arrow::Array>& column = columns[next++];
    const ColumnSchema& schema = state_->value_columns[c];
    ARROW_ASSIGN_OR_RAISE(batch->columns[c], segment::MakePhysical(column));
    for (int64_t row = 0; !schema.nullable && row < batch->row_count; ++row) {
      if (batch->columns[c].IsNull(row)) {
        return SchemaMismatch("column '" + schema.name +
                              "' may not be null, and the patch of row " + std::to_string(row) +
                              " is of a new key and does not name it");
      }
    }
  }
  return Status::OK();
}

Status Table::ApplyRows(PendingWrite* write) {
  if (write->is_patch) {
    for (PreparedBatch& batch : write->batches) {
      ARROW_RETURN_NOT_OK(FillPatch(&batch));
      ARROW_RETURN_NOT_OK(EncodeLogRows(*state_, batch, &write->rows));
    }
  }
  const auto row_count = static_cast<uint64_t>(write->row_count);
  if (!sources_[0].memtable->Fits(write->rows.size(), row_count)) {
    PushMemtable(write->rows.size() + 64 * row_count);
    needs_maintenance_.store(true, std::memory_order_relaxed);
  }
  write->commit = ++last_commit_;
  return sources_[0].memtable->Insert(write->rows, write->commit, "write");
}

Status Table::Apply(PendingWrite* write, std::vector<LogRecord>* records) {
  if (!write->segments.empty()) {
    write->commit = ++last_commit_;
    // The memory table so far is older than these segments; the next one is newer.
    PushMemtable(0);
    for (Source& source : write->segments) {
      source.commit = write->commit;
      sources_.insert(sources_.begin() + 1, source);
    }
    records->push_back(
        {{static_cast<uint32_t>(RecordKind::kSegments), 0, write->commit, write->time_us,
          static_cast<uint64_t>(write->row_count), write->segment_numbers.size()},
         write->segment_numbers});
    needs_maintenance_.store(true, std::memory_order_relaxed);
    return Status::OK();
  }
  if (write->state != state_) {
    write->must_retry = true;
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(ApplyRows(write));
  records->push_back({{static_cast<uint32_t>(RecordKind::kRows), 0, write->commit, write->time_us,
                       static_cast<uint64_t>(write->row_count), write->rows.size()},
                      write->rows});
  return Status::OK();
}

void Table::CommitGroup(const std::vector<PendingWrite*>& group) {
  const std::lock_guard lock(commit_mutex_);
  Status log_ready = Settle();
  if (log_ready.ok()) log_ready = EnsureLog();
  std::vector<Source> sources_before = sources_;
  const uint64_t commit_before = last_commit_;
  std::vector<LogRecord> records;
  for (PendingWrite* write : group) {
    write->status = log_ready.ok() ? Apply(write, &records) : log_ready;
  }
  if (records.empty()) return;
  const Status appended = log_->Append(records);
  if (!appended.ok()) {
    AbandonLog(std::move(sources_before), commit_before);
    for (PendingWrite* write : group) {
      if (write->status.ok() && !write->must_retry) write->status = appended;
      for (const Source& segment : write->segments) doomed_segments_.push_back(segment.number);
    }
    return;
  }
  PublishVersion(last_commit_);
}

}  // namespace fletching::table
