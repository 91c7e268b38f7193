// Flush, compaction and schema changes: everything that writes a manifest.
// Held: maintenance_mutex_; commit_mutex_ only where said.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/ignore_error.h"
#include "base/metrics.h"
#include "base/thread_priority.h"
#include "table/merge_write.h"
#include "table/table.h"

namespace fletching::table {
namespace {

// A flush is due when the log names more segments than this that no manifest does: until then they
// cannot be merged.
constexpr size_t kUncoveredSegmentsMax = 1;
// A run of newer segments is merged with the next older one when together they reach a third of
// it. Each row is then rewritten about log4(n) times, and a key is looked for in about as many
// places (docs/decisions/0004-compaction.md).
constexpr uint64_t kMergeFactor = 3;

uint64_t SegmentBytes(const Source& source) { return source.segment->file_bytes(); }

}  // namespace

// Rows of some sources -> one new, durable segment, or none when nothing is left.
Result<std::vector<Source>> Table::MergeRun(const std::vector<Source>& run, bool keep_tombstones) {
  const auto state = PinVersion()->state;
  const uint64_t number = next_segment_.fetch_add(1);
  const std::string path = SegmentPath(number);
  const auto written =
      WriteMerged(*state, run, keep_tombstones, Now(), context_.file_system, path, HowToSeal());
  if (!written.ok() || *written == 0) {
    RemoveFile(path);
    ARROW_RETURN_NOT_OK(written.status());
    return std::vector<Source>{};
  }
  auto opened = OpenSegment(number, *state);
  if (!opened.ok()) {
    RemoveFile(path);
    return opened.status();
  }
  Source source = *std::move(opened);
  source.segment->WarmUp();
  source.commit = run.front().commit;
  for (const Source& old : run) {
    source.newest_time_us = std::max(source.newest_time_us, old.newest_time_us);
  }
  return std::vector<Source>{std::move(source)};
}

// Flushes everything committed so far. `commit_lock` is held on entry; with keep_locked nobody
// commits until the end, which a change of the schema needs.
Status Table::FlushWhile(std::unique_lock<std::mutex>* commit_lock, bool keep_locked,
                         std::shared_ptr<const TableState> new_state) {
  const bool has_rows = sources_[0].memtable->row_count() > 0;
  const bool is_covered =
      !has_rows && std::all_of(sources_.begin() + 1, sources_.end(), [&](const Source& source) {
        return source.segment != nullptr && source.commit <= manifest_.commit;
      });
  if (is_covered && new_state == nullptr) return Status::OK();
  if (has_rows) PushMemtable(0);
  ARROW_RETURN_NOT_OK(RotateLog());
  const std::vector<Source> covered(sources_.begin() + 1, sources_.end());
  const uint64_t commit = last_commit_;
  const uint64_t log_number = log_->number();
  PublishVersion(last_commit_);
  if (!keep_locked) commit_lock->unlock();

  std::vector<Source> sealed;  // newest first, segments only
  std::vector<std::pair<const Memtable*, std::vector<Source>>> replaced;
  std::vector<uint64_t> fresh_segments;
  const auto seal = [&]() -> Status {
    for (const Source& source : covered) {
      if (source.segment != nullptr) {
        sealed.push_back(source);
        continue;
      }
      ARROW_ASSIGN_OR_RAISE(std::vector<Source> segments, MergeRun({source}, true));
      for (const Source& segment : segments) fresh_segments.push_back(segment.number);
      sealed.insert(sealed.end(), segments.begin(), segments.end());
      replaced.emplace_back(source.memtable.get(), std::move(segments));
    }
    return SyncFolder();
  };
  if (const Status status = seal(); !status.ok()) {
    RemoveSegments(fresh_segments);
    return status;
  }
  format::Manifest next = ManifestFor(sealed);
  next.commit = commit;
  next.log_number = log_number;
  if (new_state != nullptr) {
    next.schema = new_state->schema;
    next.next_column_id = new_state->next_column_id;
  }
  ARROW_RETURN_NOT_OK(ReplaceManifest(std::move(next), fresh_segments));

  const PriorityBoost boost;
  if (!keep_locked) commit_lock->lock();
  std::vector<Source> merged;
  for (const Source& source : sources_) {
    const auto found = std::find_if(replaced.begin(), replaced.end(), [&](const auto& pair) {
      return pair.first == source.memtable.get() && source.memtable != nullptr;
    });
    if (found == replaced.end()) {
      merged.push_back(source);
    } else {
      merged.insert(merged.end(), found->second.begin(), found->second.end());
    }
  }
  sources_ = std::move(merged);
  if (new_state != nullptr) {
    state_ = std::move(new_state);
    PushMemtable(0);
  }
  PublishVersion(last_commit_);
  return Status::OK();
}

Status Table::Flush() {
  const std::lock_guard maintenance(maintenance_mutex_);
  std::unique_lock commit_lock(commit_mutex_);
  return FlushWhile(&commit_lock, false, nullptr);
}

std::vector<Source> Table::CoveredSegments() {
  const PriorityBoost boost;
  const std::lock_guard lock(commit_mutex_);
  std::vector<Source> covered;
  for (const Source& source : sources_) {
    if (source.segment != nullptr && source.commit <= manifest_.commit) covered.push_back(source);
  }
  return covered;
}

// covered: newest first. The longest run from the newest on that is worth its cost.
bool Table::FindRun(const std::vector<Source>& covered, size_t* first, size_t* count) const {
  uint64_t newer_bytes = 0;
  size_t run = 0;
  for (size_t i = 0; i < covered.size(); ++i) {
    if (i > 0 && newer_bytes * kMergeFactor >= SegmentBytes(covered[i])) run = i + 1;
    newer_bytes += SegmentBytes(covered[i]);
  }
  *first = 0;
  *count = run;
  return run >= 2;
}

// Merges covered[first .. first + count), newest first, and puts the result in their place.
Status Table::CompactRun(size_t first, size_t count) {
  const std::vector<Source> covered = CoveredSegments();
  FLETCHING_CHECK(first + count <= covered.size());
  const auto begin = covered.begin() + static_cast<ptrdiff_t>(first);
  const std::vector<Source> run(begin, begin + static_cast<ptrdiff_t>(count));
  const bool reaches_oldest = first + count == covered.size();
  // With event times a deletion must also beat older events that arrive after it, so it stays
  // until it expires.
  const bool keep_tombstones = !reaches_oldest || PinVersion()->state->event_time_index >= 0;
  ARROW_ASSIGN_OR_RAISE(const std::vector<Source> merged, MergeRun(run, keep_tombstones));
  std::vector<uint64_t> fresh_segments;
  for (const Source& segment : merged) fresh_segments.push_back(segment.number);
  if (const Status synced = SyncFolder(); !synced.ok()) {
    RemoveSegments(fresh_segments);
    return synced;
  }

  std::vector<Source> next(covered.begin(), begin);
  next.insert(next.end(), merged.begin(), merged.end());
  next.insert(next.end(), begin + static_cast<ptrdiff_t>(count), covered.end());
  ARROW_RETURN_NOT_OK(ReplaceManifest(ManifestFor(next), fresh_segments));
  {
    const PriorityBoost boost;
    const std::lock_guard lock(commit_mutex_);
    const auto is_merged_away = [&](const Source& source) {
      return std::any_of(run.begin(), run.end(), [&](const Source& old) {
        return old.segment == source.segment && source.segment != nullptr;
      });
    };
    const auto at = std::find_if(sources_.begin(), sources_.end(), is_merged_away);
    sources_.insert(at, merged.begin(), merged.end());
    std::erase_if(sources_, is_merged_away);
    PublishVersion(last_commit_);
  }
  for (const Source& old : run) RemoveFile(SegmentPath(old.number));
  counters_.compactions->Add();
  return Status::OK();
}

Status Table::Compact() {
  const std::lock_guard maintenance(maintenance_mutex_);
  {
    std::unique_lock commit_lock(commit_mutex_);
    ARROW_RETURN_NOT_OK(FlushWhile(&commit_lock, false, nullptr));
  }
  const std::vector<Source> covered = CoveredSegments();
  if (covered.empty()) return Status::OK();
  const auto& only = covered.front().segment->footer();
  const bool is_compact = covered.size() == 1 && only.tombstone_count == 0 &&
                          only.dead_count == 0 && PinVersion()->state->ttl_us == 0;
  return is_compact ? Status::OK() : CompactRun(0, covered.size());
}

Status Table::Maintain() {
  const std::lock_guard maintenance(maintenance_mutex_);
  needs_maintenance_.store(false, std::memory_order_relaxed);
  const Status status = MaintainLocked();
  if (!status.ok()) {
    counters_.maintenance_failures->Add();
    needs_maintenance_.store(true, std::memory_order_relaxed);
  }
  return status;
}

Status Table::MaintainLocked() {
  bool must_flush = false;
  {
    std::optional<PriorityBoost> boost(std::in_place);
    std::unique_lock commit_lock(commit_mutex_);
    size_t uncovered = 0;
    for (const Source& source : sources_) {
      if (source.segment != nullptr) {
        uncovered += source.commit > manifest_.commit ? 1 : 0;
      } else {
        must_flush = must_flush || source.commit != UINT64_MAX;  // frozen
      }
    }
    must_flush = must_flush || uncovered > kUncoveredSegmentsMax;
    if (must_flush) ARROW_RETURN_NOT_OK(FlushWhile(&commit_lock, false, nullptr));
    // FlushWhile ends with the lock held, so the boost ends after it.
    commit_lock.unlock();
    boost.reset();
  }
  // The keys of a generation's segments differ, and there are as many as were asked for.
  if (!manifest_.generation.empty()) return Status::OK();
  size_t first = 0;
  size_t count = 0;
  while (FindRun(CoveredSegments(), &first, &count)) {
    ARROW_RETURN_NOT_OK(CompactRun(first, count));
  }
  return Status::OK();
}

// Rows in memory and log have the layout of the schema they were written under, so a change first
// seals them; segments keep theirs and are read through the new one.
Status Table::Alter(const std::function<Status(TableSchema*, uint32_t*)>& change) {
  const std::lock_guard maintenance(maintenance_mutex_);
  std::unique_lock commit_lock(commit_mutex_);
  TableSchema schema = state_->schema;
  uint32_t next_column_id = state_->next_column_id;
  ARROW_RETURN_NOT_OK(change(&schema, &next_column_id));
  ARROW_RETURN_NOT_OK(CheckSchema(schema));
  return FlushWhile(&commit_lock, true,
                    TableState::Make(std::move(schema), state_->hash_seed, next_column_id));
}

Status Table::AddColumn(const ColumnSchema& column) {
  ARROW_RETURN_NOT_OK(CheckTakesWrites());
  return Alter([&](TableSchema* schema, uint32_t* next_column_id) -> Status {
    if (schema->Find(column.name) != nullptr) return AlreadyExists("column", column.name);
    if (!column.nullable) {
      return InvalidArgument("column '" + column.name +
                             "' must be nullable: rows written before it have no value");
    }
    schema->columns.push_back(column);
    schema->columns.back().id = (*next_column_id)++;
    return Status::OK();
  });
}

Status Table::WidenColumn(std::string_view name, const std::shared_ptr<arrow::DataType>& type) {
  ARROW_RETURN_NOT_OK(CheckTakesWrites());
  return Alter([&](TableSchema* schema, uint32_t*) -> Status {
    for (ColumnSchema& column : schema->columns) {
      if (column.name != name) continue;
      if (schema->IsKey(name)) {
        return InvalidArgument("column '" + column.name + "' is a key; keys keep their type");
      }
      if (!IsWidening(*column.type, *type)) {
        return InvalidArgument("column '" + column.name + "' cannot be widened from " +
                               TypeName(*column.type) + " to " + TypeName(*type));
      }
      column.type = type;
      return Status::OK();
    }
    return NotFound("column", name);
  });
}

}  // namespace fletching::table
