// A copy of one version of a table in a folder of its own, which then opens like any other.
// Held: nothing. The version is pinned, so files that leave the table meanwhile can still be read.
#include <algorithm>
#include <utility>

#include "base/ignore_error.h"
#include "format/file_names.h"
#include "segment/segment_reader.h"
#include "table/merge_write.h"
#include "table/table.h"

namespace fletching::table {
namespace {

// The size from which on writing in larger pieces is no faster.
constexpr uint64_t kCopyBytes = uint64_t{8} << 20;

class SnapshotWriter {
 public:
  SnapshotWriter(const TableContext& context, const Version& version, std::string folder,
                 const SnapshotRequest& request, SnapshotReport* report)
      : context_(context),
        version_(version),
        folder_(std::move(folder)),
        request_(request),
        report_(*report) {}

  Status Run(const std::string& table_name) {
    ARROW_RETURN_NOT_OK(disk().MakeFolder(folder_));
    format::Manifest manifest;
    manifest.table_name = table_name;
    manifest.number = 1;
    manifest.commit = version_.commit;
    manifest.log_number = 1;
    manifest.next_column_id = version_.state->next_column_id;
    manifest.hash_seed = version_.state->hash_seed;
    manifest.schema = version_.state->schema;
    if (const auto& generation = version_.state->generation; generation.has_value()) {
      manifest.generation = generation->name;  // what it replaced stays behind
      manifest.loaded_time_us = generation->loaded_time_us;
      manifest.partition_count = version_.state->partition_count;
      manifest.rejected = generation->rejected;
    }
    for (const Source& source : version_.sources) {
      if (source.segment == nullptr) continue;
      manifest.next_segment = std::max(manifest.next_segment, source.number + 1);
    }
    for (auto source = version_.sources.rbegin(); source != version_.sources.rend(); ++source) {
      ARROW_RETURN_NOT_OK(source->segment != nullptr ? Take(*source, &manifest)
                                                     : Seal(*source, &manifest));
      ARROW_RETURN_NOT_OK(Progress(0));
    }
    const std::string path = folder_ + "/" + format::ManifestFileName(manifest.number);
    ARROW_RETURN_NOT_OK(Write(path, EncodeManifest(manifest)));
    ARROW_RETURN_NOT_OK(disk().SyncFolder(folder_));
    ++report_.table_count;
    return Status::OK();
  }

 private:
  io::FileSystem& disk() const { return *context_.file_system; }
  std::string SegmentPath(uint64_t number) const {
    return folder_ + "/" + format::SegmentFileName(number);
  }

  Status Progress(int64_t bytes) const {
    return request_.on_progress ? request_.on_progress(bytes) : Status::OK();
  }

  // A segment never changes, so it may as well be the same file.
  Status Take(const Source& source, format::Manifest* manifest) {
    const segment::SegmentReader& segment = *source.segment;
    const std::string target = SegmentPath(source.number);
    if (request_.verify) {
      const Status verified = segment.VerifyAll();
      ARROW_RETURN_NOT_OK(segment.CheckIntact());
      ARROW_RETURN_NOT_OK(verified);
    }
    if (disk().Link(segment.path(), target).ok() && IsSame(segment, target)) {
      report_.linked_bytes += static_cast<int64_t>(segment.file_bytes());
    } else {
      if (disk().Exists(target)) ARROW_RETURN_NOT_OK(disk().Remove(target));
      const Status written = Write(target, segment.bytes());
      ARROW_RETURN_NOT_OK(segment.CheckIntact());
      ARROW_RETURN_NOT_OK(written);
    }
    manifest->segments.push_back(
        {source.number, segment.live_row_count(), segment.file_bytes(), source.newest_time_us});
    return Status::OK();
  }

  // Another writer may have dropped the table and made one in a folder of the same name.
  bool IsSame(const segment::SegmentReader& segment, const std::string& path) const {
    const auto file = disk().Map(path);
    return file.ok() && segment.IsSame((*file)->bytes()) && (*file)->CheckRead().ok();
  }

  // Rows in memory as of this version become a segment, as a flush would make it of them.
  Status Seal(const Source& source, format::Manifest* manifest) {
    if (source.memtable->row_count() == 0) return Status::OK();
    Source bounded = source;
    bounded.commit = std::min(source.commit, version_.commit);
    const uint64_t number = manifest->next_segment++;
    const std::string path = SegmentPath(number);
    ARROW_ASSIGN_OR_RAISE(
        const uint64_t row_count,
        WriteMerged(*version_.state, std::span<const Source>(&bounded, 1), true,
                    context_.clock->NowMicros(), context_.file_system, path, {.durable = true}));
    if (row_count == 0) return disk().Remove(path);
    ARROW_ASSIGN_OR_RAISE(const auto file, disk().Map(path));
    const uint64_t file_bytes = file->bytes().size();
    report_.copied_bytes += static_cast<int64_t>(file_bytes);
    manifest->segments.push_back({number, row_count, file_bytes, source.newest_time_us});
    return Status::OK();
  }

  Status Write(const std::string& path, ByteSpan bytes) {
    ARROW_ASSIGN_OR_RAISE(const auto file, disk().Create(path));
    for (uint64_t at = 0; at < bytes.size(); at += kCopyBytes) {
      const ByteSpan piece = bytes.subspan(at, std::min(kCopyBytes, bytes.size() - at));
      ARROW_RETURN_NOT_OK(file->Append(piece));
      file->StartWriteback();
      report_.copied_bytes += static_cast<int64_t>(piece.size());
      ARROW_RETURN_NOT_OK(Progress(static_cast<int64_t>(piece.size())));
    }
    ARROW_RETURN_NOT_OK(file->Sync());
    return file->Close();
  }

  const TableContext& context_;
  const Version& version_;
  const std::string folder_;
  const SnapshotRequest& request_;
  SnapshotReport& report_;
};

}  // namespace

Status Table::Snapshot(const std::string& folder, const SnapshotRequest& request,
                       SnapshotReport* report) const {
  const Pinned<Version> version = PinVersion();
  return SnapshotWriter(context_, *version, folder, request, report).Run(name_);
}

}  // namespace fletching::table
