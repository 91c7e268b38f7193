#include "engine/snapshot.h"

#include <utility>

#include "base/ignore_error.h"
#include "engine/data_folder.h"
#include "format/file_names.h"

namespace fletching::engine {
namespace {

// Everything is made under another name than that of tables, and gets that last, in one rename:
// what is not finished has no tables.
class SnapshotFolder {
 public:
  SnapshotFolder(io::FileSystem* file_system, std::string dir)
      : file_system_(*file_system),
        dir_(std::move(dir)),
        tables_(format::TablesFolder(dir_)),
        unfinished_(dir_ + "/" + std::string(kUnfinishedTables)) {}

  // Errors: kInvalidArgument when there is something in it; kLocked.
  Status Begin() {
    if (file_system_.Exists(dir_)) ARROW_RETURN_NOT_OK(CheckEmpty());
    ARROW_RETURN_NOT_OK(MakeDurableFolder(&file_system_, dir_));
    ARROW_ASSIGN_OR_RAISE(lock_, file_system_.Lock(format::LockFile(dir_)));
    ARROW_RETURN_NOT_OK(CheckEmpty());  // another one may have been at work until now
    // Of one that was cut off: we have the lock, so nobody works in it.
    if (file_system_.Exists(unfinished_)) {
      ARROW_RETURN_NOT_OK(file_system_.RemoveFolder(unfinished_));
    }
    return file_system_.MakeFolder(unfinished_);
  }

  Status Fill(const Catalog& catalog, const SnapshotRequest& request, SnapshotReport* report) {
    for (const auto& [name, entry] : catalog.entries) {
      if (entry.table == nullptr) {
        if (request.verify) return entry.health;
        report->left_out.push_back(name);
        continue;
      }
      const std::string id = entry.folder.substr(entry.folder.find_last_of('/') + 1);
      ARROW_RETURN_NOT_OK(entry.table->Snapshot(unfinished_ + "/" + id, request, report));
    }
    return file_system_.SyncFolder(unfinished_);
  }

  Status Finish() {
    is_named_ = true;
    ARROW_RETURN_NOT_OK(file_system_.Rename(unfinished_, tables_));
    return file_system_.SyncFolder(dir_);
  }

  // After an error. Takes the name of tables away, durably, before the first file goes: whoever
  // finds that name finds all of them.
  Status TakeBack() {
    if (is_named_ && !file_system_.Exists(unfinished_)) {
      ARROW_RETURN_NOT_OK(file_system_.Rename(tables_, unfinished_));
      ARROW_RETURN_NOT_OK(file_system_.SyncFolder(dir_));
    }
    return file_system_.Exists(unfinished_) ? file_system_.RemoveFolder(unfinished_) : Status::OK();
  }

 private:
  Status CheckEmpty() const {
    ARROW_ASSIGN_OR_RAISE(const auto entries, file_system_.List(dir_));
    for (const io::FolderEntry& entry : entries) {
      if (entry.name == "LOCK" || entry.name == kUnfinishedTables) continue;
      return InvalidArgument("folder " + dir_ + " is not empty, it holds '" + entry.name +
                             "'; name a new or an empty one");
    }
    return Status::OK();
  }

  io::FileSystem& file_system_;
  const std::string dir_;
  const std::string tables_;
  const std::string unfinished_;
  std::unique_ptr<io::FolderLock> lock_;
  bool is_named_ = false;  // or may be
};

}  // namespace

Result<SnapshotReport> WriteSnapshot(io::FileSystem* file_system, const std::string& data_dir,
                                     const Catalog& catalog, const SnapshotRequest& request) {
  if (request.dir.empty()) return InvalidArgument("the folder for the snapshot has no name");
  const std::string dir = WithoutTrailingSlash(request.dir);
  const std::string real_dir = file_system->RealPath(dir);
  const std::string real_data = file_system->RealPath(data_dir);
  if (real_dir == real_data || real_dir.starts_with(real_data + "/")) {
    return InvalidArgument("folder " + dir + " is inside the data folder " + data_dir +
                           "; name one outside of it");
  }
  SnapshotReport report;
  SnapshotFolder folder(file_system, dir);
  ARROW_RETURN_NOT_OK(folder.Begin());
  Status status = folder.Fill(catalog, request, &report);
  if (status.ok()) status = folder.Finish();
  if (!status.ok()) {
    IgnoreError(folder.TakeBack());
    return status;
  }
  return report;
}

}  // namespace fletching::engine
