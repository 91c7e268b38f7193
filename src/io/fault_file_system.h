// A FileSystem that passes every call on to another one, and spoils some. For tests only.
//
//   for (uint64_t n = 1;; ++n) {                       // the n-th call fails, for every n
//     FaultFileSystem disk(&sim);
//     disk.SetPlan({.at = n, .from_then_on = true});
//     ... run the scenario, reopen on &sim, compare with the model ...
//     if (!disk.fired()) break;
//   }
//
//   disk.SetPlan({.at = 1, .kinds = {IoCall::kSyncFolder}, .from_then_on = true,
//                 .effect = FaultEffect::kSkip});      // a build without fsync of folders
//
// As io/file.h has it, a file whose Sync failed, or whose Append failed after a part was written,
// fails from then on.
// Threads: any. Lifetime: the inner file system must outlive this and all files opened through it;
// this must outlive them too.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"

namespace fletching::io {

// Calls that count. Exists, RealPath, StartWriteback and size_bytes cannot fail and do not.
enum class IoCall : uint8_t {
  kCreate,
  kAppend,
  kReserve,
  kReadAt,
  kSync,
  kClose,
  kMap,
  kRename,
  kLink,
  kRemove,
  kRemoveFolder,
  kMakeFolder,
  kSyncFolder,
  kList,
  kLock,
};

std::string_view IoCallName(IoCall call);  // "sync_folder"

enum class FaultEffect : uint8_t {
  kFail,        // an error, and nothing was done
  kFailAfter,   // it was done, yet an error is reported: the worst answer of a sync or rename
  kSkip,        // OK, but nothing was done; not for calls that give something back, nor Append
  kUnreadable,  // of kMap alone: OK, but no page can be had, so that all reads as zeros
};

struct FaultPlan {
  uint64_t at = 0;              // the first matching call to spoil, counted from 1; 0 = none
  std::set<IoCall> kinds = {};  // calls that match; empty = all
  std::string path_contains =
      {};  // and whose path (of a rename or link: the target) has this; empty = any
  bool from_then_on = false;  // all later matching calls too, as when the power is gone
  FaultEffect effect = FaultEffect::kFail;
  Status status = Unavailable("injected: Input/output error");
  // A failing Append leaves this many of its bytes in the file; -1 = none.
  int64_t append_prefix_bytes = -1;
};

struct IoRecord {
  IoCall call;
  std::string path;
  bool spoiled = false;
};

class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem* inner);

  // Counting starts afresh.
  void SetPlan(FaultPlan plan);
  // Called before every call, outside of any lock: the moment to take a SimFileSystem::Crash.
  // Set it before other threads use this file system.
  void SetObserver(std::function<void(const IoRecord&)> observer);

  uint64_t call_count() const;        // matching calls since SetPlan
  bool fired() const;                 // whether the plan has spoiled a call
  std::vector<IoRecord> Log() const;  // the last 4,096 calls of any kind
  std::string LogText() const;        // one line each: "12 sync /data/x.log SPOILED"

  Result<std::unique_ptr<AppendFile>> Create(const std::string& path) override;
  Result<std::shared_ptr<MappedFile>> Map(const std::string& path) override;
  Status Rename(const std::string& source, const std::string& target) override;
  Status Link(const std::string& source, const std::string& target) override;
  Status Remove(const std::string& path) override;
  Status RemoveFolder(const std::string& path) override;
  Status MakeFolder(const std::string& path) override;
  Status SyncFolder(const std::string& path) override;
  Result<std::vector<FolderEntry>> List(const std::string& path) override;
  bool Exists(const std::string& path) override;
  std::string RealPath(const std::string& path) override;
  Result<std::unique_ptr<FolderLock>> Lock(const std::string& path) override;

 private:
  friend class FaultAppendFile;
  struct Verdict {
    bool spoil = false;
    FaultEffect effect = FaultEffect::kFail;
    Status status;
    int64_t append_prefix_bytes = -1;
  };

  // Counts and logs one call, and says what becomes of it.
  Verdict Judge(IoCall call, const std::string& path);
  Status Perform(IoCall call, const std::string& path, const std::function<Status()>& inner);

  FileSystem* const inner_;
  std::function<void(const IoRecord&)> observer_;
  mutable std::mutex mutex_;
  FaultPlan plan_;
  uint64_t call_count_ = 0;
  uint64_t total_count_ = 0;
  bool fired_ = false;
  std::deque<IoRecord> log_;
};

}  // namespace fletching::io
