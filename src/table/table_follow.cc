// A reader beside a writer, in this process or another: the end of its log, as it grows.
//
// A write is seen when its frame is whole, which may be shortly before it is durable. Should its
// sync fail, the writer goes on in a log that says so, and the reader begins anew.
#include <algorithm>
#include <vector>

#include "format/file_names.h"
#include "table/table.h"

namespace fletching::table {

bool Table::Follow() {
  const auto followed = TryFollow();
  // A file that goes while we look at it belongs to a manifest that is not the newest any more.
  return followed.ok() && *followed;
}

Status Table::FollowTail() {
  const uint64_t commit_before = last_commit_;
  const std::string path = tail_->path();
  ARROW_RETURN_NOT_OK(ReadFrames(tail_->bytes(), path, Replayer(path), &tail_end_));
  ARROW_RETURN_NOT_OK(tail_->CheckRead());
  if (last_commit_ > commit_before) PublishVersion(last_commit_);
  return Status::OK();
}

Result<bool> Table::TryFollow() {
  ARROW_ASSIGN_OR_RAISE(const auto files, context_.file_system->List(folder_));
  uint64_t newest_manifest = 0;
  std::vector<uint64_t> logs;
  uint64_t tail_bytes = 0;
  for (const io::FolderEntry& file : files) {
    newest_manifest =
        std::max(newest_manifest, format::ParseFileNumber(file.name, format::kManifestEnding));
    const uint64_t log = format::ParseFileNumber(file.name, format::kLogEnding);
    if (log != 0) logs.push_back(log);
    if (log == tail_end_.log_number) tail_bytes = file.size_bytes;
  }
  if (newest_manifest != manifest_.number) return false;
  std::ranges::sort(logs);
  if (tail_ != nullptr) {
    if (tail_bytes > tail_->bytes().size()) {
      ARROW_ASSIGN_OR_RAISE(tail_, context_.file_system->Map(tail_->path()));
    }
    ARROW_RETURN_NOT_OK(FollowTail());
  }
  if (logs.empty() || logs.back() <= tail_end_.log_number) return true;
  ARROW_ASSIGN_OR_RAISE(const std::vector<LogLink> chain,
                        ReadLogChain(context_.file_system, folder_, logs, manifest_.log_number));
  for (const LogLink& link : chain) {
    const uint64_t number = link.header.log_number;
    if (number < tail_end_.log_number) continue;
    if (number == tail_end_.log_number) {
      if (link.must_be_valid_bytes == 0) break;  // the newer one is only being made
      if (link.must_be_valid_bytes != tail_end_.offset_bytes) return false;
      continue;
    }
    if (tail_ != nullptr && link.header.previous_log_number != tail_end_.log_number) return false;
    tail_ = link.file;
    tail_end_ = {number, link.header.salt, 0, sizeof(format::LogHeader)};
    ARROW_RETURN_NOT_OK(FollowTail());
    if (link.must_be_valid_bytes != 0 && link.must_be_valid_bytes != tail_end_.offset_bytes) {
      return false;
    }
  }
  return true;
}

}  // namespace fletching::table
