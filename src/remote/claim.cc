#include "remote/claim.h"

#include "base/clock.h"
#include "format/file_names.h"
#include "io/file.h"
#include "remote/folder_sync.h"
#include "remote/follower.h"
#include "remote/remote_files.h"
#include "remote/root_object.h"

namespace fletching::remote {

Result<ClaimReport> Promote(store::ObjectStore* store, const std::string& data_dir,
                            const store::CallOptions& call) {
  ARROW_RETURN_NOT_OK(PrepareFolder(data_dir, store->url()));
  ARROW_ASSIGN_OR_RAISE(const auto lock, io::PosixFileSystem()->Lock(format::LockFile(data_dir)));
  ARROW_ASSIGN_OR_RAISE(const auto found, ReadRoot(store, call));
  if (!found.has_value()) {
    return MakeError(ErrorCode::kNotFound,
                     store->url() + " holds nothing to take over; start a writer there instead");
  }
  FolderSync sync(store, data_dir, nullptr);
  ARROW_RETURN_NOT_OK(sync.Apply(found->root, call));
  sync.CleanUp();
  format::RemoteRoot next = found->root;
  ++next.sequence;
  next.writer_id = NewWriterId();
  next.published_time_us = SystemClock()->NowMicros();
  // The folder is marked last: should this process die in between, promoting it again is all it
  // takes.
  ARROW_RETURN_NOT_OK(PutRoot(store, next, found->etag, call).status());
  ARROW_RETURN_NOT_OK(WriteIdentity(data_dir, {store->url(), next.writer_id, next.sequence}));
  return ClaimReport{next.sequence, static_cast<int64_t>(next.tables.size()), sync.fetched_bytes()};
}

}  // namespace fletching::remote
