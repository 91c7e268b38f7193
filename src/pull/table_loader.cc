#include "pull/table_loader.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "fletching/engine.h"

#include "base/clock.h"
#include "pull/partition.h"
#include "pull/prefetch.h"

namespace fletching::pull {
namespace {

using std::chrono::steady_clock;

constexpr int kBatchesAhead = 4;
constexpr int64_t kProgressMs = 5'000;

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
  if (info.ok() && info->generation.has_value()) status_.generation = info->generation->name;
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
  if (info.ok() && info->generation.has_value()) status_.generation = info->generation->name;
  status_.problem = status.ok() ? "" : status.message();
}

bool TableLoader::IsWanted(const Offer& offer, std::string* why_not) const {
  const auto info = engine_->GetTable(table_.name);
  if (!info.ok() || !info->generation.has_value()) return true;
  const GenerationInfo& shown = *info->generation;
  if (offer.generation == shown.rejected) {
    *why_not = "it was rolled back; only other files are loaded from now on";
    return false;
  }
  if (offer.generation == shown.name) return !AreAlike(info->schema, table_.schema);
  // A marker or a folder that is gone does not bring older rows back; people do, by a rollback.
  if (table_.layout == Layout::kDated && offer.name < PartitionNameOf(shown.name)) {
    *why_not =
        "it is older than what is shown (" + shown.name + "), whose files or _SUCCESS are gone";
    return false;
  }
  return true;
}

// For whoever waits on something: an error when the server ends.
Status TableLoader::GoOn() const {
  if (!is_stopping_->load()) return Status::OK();
  return MakeError(ErrorCode::kCancelled, "the load was ended");
}

Status TableLoader::LookOnce() {
  ARROW_ASSIGN_OR_RAISE(const Offer offer,
                        FindOffer(table_, options_.spool_folder, [this] { return GoOn(); }));
  attempted_ = offer.generation;
  if (offer.generation == refused_) return refusal_;
  std::string why_not;
  if (!IsWanted(offer, &why_not)) {
    if (!why_not.empty() && std::exchange(told_, offer.generation) != offer.generation) {
      Tell(PullEvent::Kind::kKept, offer.generation, 0, 0, why_not);
    }
    return Status::OK();
  }
  const Status status = Load(offer);
  if (!status.ok() && IsTheirFault(status)) {
    refused_ = offer.generation;
    refusal_ = status;
  }
  return status;
}

Status TableLoader::Load(const Offer& offer) {
  const auto start = steady_clock::now();
  Tell(PullEvent::Kind::kLoading, offer.generation, 0, 0, offer.text);
  ARROW_ASSIGN_OR_RAISE(auto rows, offer.open([this] { return GoOn(); }));
  rows = Prefetch(std::move(rows), kBatchesAhead);
  ReplaceRequest request{.table = table_.name,
                         .generation = offer.generation,
                         .schema = table_.schema,
                         .segment_count = table_.parts,
                         .min_rows_ratio = table_.min_rows_ratio};
  int64_t told_ms = 0;
  request.on_progress = [&](int64_t row_count) {
    const int64_t millis = MillisSince(start);
    if (millis >= told_ms + kProgressMs) {
      told_ms = millis;
      Tell(PullEvent::Kind::kProgress, offer.generation, row_count, millis);
    }
    return GoOn();
  };
  ARROW_ASSIGN_OR_RAISE(const WriteResult written, engine_->Replace(request, rows.get()));
  Tell(PullEvent::Kind::kLoaded, offer.generation, written.row_count, MillisSince(start),
       offer.text);
  return Status::OK();
}

}  // namespace fletching::pull
