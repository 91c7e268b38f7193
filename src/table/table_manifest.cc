// Making a manifest the table's, and what a failure on the way leaves behind.
// Held: maintenance_mutex_, but for Settle.
#include <utility>

#include "base/ignore_error.h"
#include "base/thread_priority.h"
#include "format/file_names.h"
#include "table/table.h"

namespace fletching::table {

// All of a manifest but its name.
Status Table::WriteManifestAside(const format::Manifest& manifest) {
  const std::string aside = ManifestPath(manifest.number) + ".tmp";
  if (context_.file_system->Exists(aside)) {
    ARROW_RETURN_NOT_OK(context_.file_system->Remove(aside));
  }
  ARROW_ASSIGN_OR_RAISE(auto file, context_.file_system->Create(aside));
  ARROW_RETURN_NOT_OK(file->Append(EncodeManifest(manifest)));
  if (context_.durable) ARROW_RETURN_NOT_OK(file->Sync());
  return file->Close();
}

Status Table::NameManifest(uint64_t number) {
  const std::string path = ManifestPath(number);
  ARROW_RETURN_NOT_OK(context_.file_system->Rename(path + ".tmp", path));
  return SyncFolder();
}

// Makes `next` the manifest and removes what only the old one needed. fresh_segments: files that
// only `next` names; they go when it cannot be had.
Status Table::ReplaceManifest(format::Manifest next, const std::vector<uint64_t>& fresh_segments) {
  next.number = manifest_.number + 1;
  Status status = Settle();
  if (status.ok()) status = WriteManifestAside(next);
  if (!status.ok()) {
    RemoveFile(ManifestPath(next.number) + ".tmp");
    RemoveSegments(fresh_segments);
    return status;
  }
  status = NameManifest(next.number);
  if (!status.ok()) {
    // It may or may not have its name, now or after a power loss. Until that is certain its
    // segments stay, and nothing is committed: it may carry a schema that rows of the old one
    // would be misread by.
    {
      const PriorityBoost boost;
      const std::lock_guard lock(settle_mutex_);
      unsettled_manifest_ = next.number;
      unsettled_segments_ = fresh_segments;
    }
    IgnoreError(Settle());
    return status;
  }
  const format::Manifest old = std::exchange(manifest_, std::move(next));
  RemoveFile(ManifestPath(old.number));
  for (uint64_t log = old.log_number; log < manifest_.log_number; ++log) {
    RemoveFile(folder_ + "/" + format::LogFileName(log));
  }
  return Status::OK();
}

// Takes back the name of a manifest whose naming failed, durably. Any thread.
Status Table::Settle() {
  if (unsettled_manifest_.load(std::memory_order_relaxed) == 0) return Status::OK();
  const PriorityBoost boost;
  const std::lock_guard lock(settle_mutex_);
  if (unsettled_manifest_ == 0) return Status::OK();
  const std::string path = ManifestPath(unsettled_manifest_);
  for (const std::string& name : {path, path + ".tmp"}) {
    if (context_.file_system->Exists(name)) {
      ARROW_RETURN_NOT_OK(context_.file_system->Remove(name));
    }
  }
  ARROW_RETURN_NOT_OK(SyncFolder());
  RemoveSegments(std::exchange(unsettled_segments_, {}));
  unsettled_manifest_ = 0;
  return Status::OK();
}

format::Manifest Table::ManifestFor(const std::vector<Source>& newest_first) const {
  format::Manifest next = manifest_;
  next.next_segment = next_segment_.load();
  next.segments.clear();
  for (auto source = newest_first.rbegin(); source != newest_first.rend(); ++source) {
    next.segments.push_back({source->number, source->segment->live_row_count(),
                             source->segment->file_bytes(), source->newest_time_us});
  }
  return next;
}

std::string Table::ManifestPath(uint64_t number) const {
  return folder_ + "/" + format::ManifestFileName(number);
}

Status Table::SyncFolder() const {
  return context_.durable ? context_.file_system->SyncFolder(folder_) : Status::OK();
}

void Table::RemoveFile(const std::string& path) const {
  if (context_.file_system->Exists(path)) IgnoreError(context_.file_system->Remove(path));
}

void Table::RemoveSegments(const std::vector<uint64_t>& numbers) const {
  for (const uint64_t number : numbers) RemoveFile(SegmentPath(number));
}

}  // namespace fletching::table
