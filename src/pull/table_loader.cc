#include "pull/table_loader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "fletching/engine.h"

#include "base/clock.h"
#include "pull/partition_rows.h"
#include "pull/prefetch.h"

namespace fletching::pull {
namespace {

using std::chrono::steady_clock;

constexpr int kBatchesAhead = 4;
constexpr int64_t kProgressMs = 5'000;

int64_t MillisSince(steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start).count();
}

// The same table to whoever reads it.
bool AreAlike(const TableSchema& a, const TableSchema& b) {
  if (a.key != b.key || a.event_time != b.event_time || a.ttl_ms != b.ttl_ms) return false;
  return std::ranges::equal(a.columns, b.columns, [](const auto& x, const auto& y) {
    return x.name == y.name && x.nullable == y.nullable && x.type->Equals(*y.type);
  });
}

// Whether trying the same files again would end the same way.
bool IsTheirFault(const Status& status) {
  const ErrorCode code = CodeOf(status);
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kSchemaMismatch ||
         code == ErrorCode::kTooLarge || code == ErrorCode::kUnsupported;
}

std::string ReasonOf(const Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kSchemaMismatch:
      return "schema";
    case ErrorCode::kStorageFull:
    case ErrorCode::kCorruption:
      return "storage";
    case ErrorCode::kInvalidArgument:
      return status.message().find("min_rows_ratio") != std::string::npos ? "shrunk" : "data";
    case ErrorCode::kTooLarge:
    case ErrorCode::kUnsupported:
      return "data";
    default:
      return "source";
  }
}

}  // namespace

TableLoader::TableLoader(Engine* engine, PulledTable table, PullerOptions options,
                         const std::atomic<bool>* is_stopping)
    : engine_(engine),
      table_(std::move(table)),
      options_(std::move(options)),
      is_stopping_(is_stopping) {
  status_.table = table_.name;
  const auto info = engine_->GetTable(table_.name);
  if (!info.ok() || !info->generation.has_value()) return;
  status_.generation = info->generation->name;
  status_.loaded_time_us = info->generation->loaded_time_us;
}

PullStatus TableLoader::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void TableLoader::Tell(PullEvent::Kind kind, const std::string& generation, int64_t rows,
                       int64_t millis, std::string text, std::string reason) const {
  if (!options_.on_event) return;
  options_.on_event(
      {kind, table_.name, generation, rows, millis, std::move(text), std::move(reason)});
}

void TableLoader::Look() {
  attempted_.clear();
  const Status status = LookOnce();
  if (!status.ok() && CodeOf(status) == ErrorCode::kCancelled && is_stopping_->load()) return;
  Note(status);
  if (!status.ok()) {
    Tell(PullEvent::Kind::kFailed, attempted_, 0, 0, status.message(), ReasonOf(status));
  }
}

void TableLoader::Note(const Status& status) {
  const auto info = engine_->GetTable(table_.name);
  const std::lock_guard lock(mutex_);
  if (info.ok() && info->generation.has_value()) {
    status_.generation = info->generation->name;
    status_.loaded_time_us = info->generation->loaded_time_us;
  }
  status_.problem = status.ok() ? "" : status.message();
  if (status.ok()) {
    status_.checked_time_us = SystemClock()->NowMicros();
  } else {
    ++status_.failure_count;
  }
}

bool TableLoader::IsWanted(const Partition& partition, std::string* why_not) const {
  const auto info = engine_->GetTable(table_.name);
  if (!info.ok() || !info->generation.has_value()) return true;
  const GenerationInfo& shown = *info->generation;
  if (partition.generation == shown.rejected) {
    *why_not = "it was rolled back; only other files are loaded from now on";
    return false;
  }
  if (partition.generation == shown.name) return !AreAlike(info->schema, table_.schema);
  // A marker or a folder that is gone does not bring older rows back; people do, by a rollback.
  if (table_.layout == Layout::kDated && partition.name < PartitionNameOf(shown.name)) {
    *why_not =
        "it is older than what is shown (" + shown.name + "), whose files or _SUCCESS are gone";
    return false;
  }
  return true;
}

Status TableLoader::LookOnce() {
  ARROW_ASSIGN_OR_RAISE(const Source source, OpenSource(table_.source));
  ARROW_ASSIGN_OR_RAISE(const Partition partition, FindPartition(source, table_.layout));
  attempted_ = partition.generation;
  if (partition.generation == refused_) return refusal_;
  std::string why_not;
  if (!IsWanted(partition, &why_not)) {
    if (!why_not.empty() && std::exchange(told_, partition.generation) != partition.generation) {
      Tell(PullEvent::Kind::kKept, partition.generation, 0, 0, why_not);
    }
    return Status::OK();
  }
  const Status status = Load(source, partition);
  if (!status.ok() && IsTheirFault(status)) {
    refused_ = partition.generation;
    refusal_ = status;
  }
  return status;
}

Status TableLoader::Load(const Source& source, const Partition& partition) {
  const auto start = steady_clock::now();
  Tell(PullEvent::Kind::kLoading, partition.generation, 0, 0);
  const auto check = [this] {
    if (!is_stopping_->load()) return Status::OK();
    return MakeError(ErrorCode::kCancelled, "the load was ended");
  };
  // Files that are written anew, or still arrive, while they are read.
  const auto at_end = [&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(const Partition now, FindPartition(source, table_.layout));
    if (now.generation == partition.generation) return Status::OK();
    return Unavailable(source.where + ": " + partition.name +
                       " changed while it was loaded; it is loaded again at the next look");
  };
  ARROW_ASSIGN_OR_RAISE(auto rows,
                        OpenPartitionRows(source, partition, table_.schema,
                                          {.hive_columns = table_.layout == Layout::kHive,
                                           .spool_folder = options_.spool_folder,
                                           .check = check,
                                           .at_end = at_end}));
  rows = Prefetch(std::move(rows), kBatchesAhead);
  ReplaceRequest request{.table = table_.name,
                         .generation = partition.generation,
                         .schema = table_.schema,
                         .segment_count = table_.parts,
                         .min_rows_ratio = table_.min_rows_ratio};
  int64_t told_ms = 0;
  request.on_progress = [&](int64_t row_count) {
    const int64_t millis = MillisSince(start);
    if (millis >= told_ms + kProgressMs) {
      told_ms = millis;
      Tell(PullEvent::Kind::kProgress, partition.generation, row_count, millis);
    }
    return check();
  };
  ARROW_ASSIGN_OR_RAISE(const WriteResult written, engine_->Replace(request, rows.get()));
  Tell(PullEvent::Kind::kLoaded, partition.generation, written.row_count, MillisSince(start));
  return Status::OK();
}

}  // namespace fletching::pull
