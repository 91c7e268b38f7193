#include "table/verify.h"

#include <set>
#include <utility>

#include "format/file_names.h"
#include "format/manifest.h"
#include "segment/segment_reader.h"
#include "table/log.h"
#include "table/table.h"

namespace fletching::table {
namespace {

class Verifier {
 public:
  Verifier(io::FileSystem* file_system, const std::string& folder, VerifyReport* report)
      : file_system_(file_system), folder_(folder), report_(*report) {}

  Status Run() {
    ARROW_ASSIGN_OR_RAISE(files_, file_system_->List(folder_));
    const Result<format::Manifest> manifest = FindManifest();
    if (!manifest.ok()) {
      Note(manifest.status());
      return Status::OK();
    }
    for (const format::ManifestSegment& segment : manifest->segments) {
      named_.insert(format::SegmentFileName(segment.number));
    }
    if (manifest->previous.has_value()) {
      for (const format::ManifestSegment& segment : manifest->previous->segments) {
        named_.insert(format::SegmentFileName(segment.number));
      }
    }
    CheckLogs(manifest->log_number);
    for (const io::FolderEntry& file : files_) {
      if (named_.contains(file.name)) {
        if (file.name.ends_with(format::kSegmentEnding)) CheckSegment(file.name);
      } else {
        report_.orphans.push_back(Path(file.name));
      }
    }
    for (const std::string& name : named_) {
      if (!file_system_->Exists(Path(name))) {
        report_.damage.push_back(Path(name) + ": offset 0: the file is missing");
      }
    }
    return Status::OK();
  }

 private:
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Note(const Status& status) {
    if (!status.ok()) report_.damage.push_back(status.message());
  }
  void Count(uint64_t bytes) {
    ++report_.file_count;
    report_.checked_bytes += static_cast<int64_t>(bytes);
  }

  Result<format::Manifest> FindManifest() {
    std::string newest;
    for (const io::FolderEntry& file : files_) {
      if (format::ParseFileNumber(file.name, format::kManifestEnding) != 0)
        newest = std::max(newest, file.name);
    }
    if (newest.empty()) return Corruption(folder_, 0, "the folder of a table has no manifest");
    named_.insert(newest);
    ARROW_ASSIGN_OR_RAISE(const auto file, file_system_->Map(Path(newest)));
    Count(file->bytes().size());
    auto manifest = format::DecodeManifest(file->bytes(), Path(newest));
    ARROW_RETURN_NOT_OK(file->CheckRead());
    return manifest;
  }

  // The logs that count; files beside them are orphans.
  void CheckLogs(uint64_t first_log) {
    std::vector<uint64_t> numbers;
    for (const io::FolderEntry& file : files_) {
      if (const uint64_t log = format::ParseFileNumber(file.name, format::kLogEnding); log != 0) {
        numbers.push_back(log);
      }
    }
    const auto chain = ReadLogChain(file_system_, folder_, numbers, first_log);
    if (!chain.ok()) return Note(chain.status());
    Note(CheckLogsLeftOut(file_system_, folder_, numbers, *chain));
    const auto visit = [&](const format::RecordHeader& header, ByteSpan payload, uint64_t) {
      if (header.kind == static_cast<uint32_t>(format::RecordKind::kSegments)) {
        for (size_t at = 0; at + 8 <= payload.size(); at += 8) {
          named_.insert(format::SegmentFileName(LoadAs<uint64_t>(payload.data() + at)));
        }
      }
      return Status::OK();
    };
    for (const LogLink& link : *chain) {
      named_.insert(format::LogFileName(link.header.log_number));
      Count(link.file->bytes().size());
      const Status checked =
          ReadLog(link.file->bytes(), link.file->path(), link.must_be_valid_bytes, visit).status();
      const Status read = link.file->CheckRead();
      Note(read.ok() ? checked : read);
    }
  }

  void CheckSegment(const std::string& name) {
    auto file = file_system_->Map(Path(name));
    if (!file.ok()) return Note(file.status());
    Count((*file)->bytes().size());
    const auto reader = segment::SegmentReader::Open(*std::move(file));
    if (!reader.ok()) return Note(reader.status());
    const Status checked = CheckRows(**reader);
    const Status intact = (*reader)->CheckIntact();
    Note(intact.ok() ? checked : intact);
  }
  static Status CheckRows(const segment::SegmentReader& reader) {
    ARROW_RETURN_NOT_OK(reader.VerifyAll());
    std::vector<ByteSpan> keys;
    std::vector<const uint8_t*> bodies;
    std::vector<uint32_t> rows;
    for (uint64_t cursor = 0; cursor < reader.end_address();) {
      ARROW_RETURN_NOT_OK(reader.Scan(&cursor, 4096, &keys, &bodies, &rows));
    }
    return Status::OK();
  }

  io::FileSystem* const file_system_;
  const std::string folder_;
  VerifyReport& report_;
  std::vector<io::FolderEntry> files_;
  std::set<std::string> named_;
};

}  // namespace

std::string NameInManifest(io::FileSystem* file_system, const std::string& folder) {
  const std::string own_name = folder.substr(folder.find_last_of('/') + 1);
  const auto files = file_system->List(folder);
  if (!files.ok()) return own_name;
  std::string newest;
  for (const io::FolderEntry& file : *files) {
    if (format::ParseFileNumber(file.name, format::kManifestEnding) != 0)
      newest = std::max(newest, file.name);
  }
  const std::string path = folder + "/" + newest;
  const auto file = file_system->Map(path);
  if (newest.empty() || !file.ok()) return own_name;
  const auto manifest = format::DecodeManifest((*file)->bytes(), path);
  return manifest.ok() ? manifest->table_name : own_name;
}

Status VerifyTable(io::FileSystem* file_system, const std::string& folder, VerifyReport* report) {
  return Verifier(file_system, folder, report).Run();
}

}  // namespace fletching::table
