// A disk in memory whose power can be cut. For tests only.
//
//   SimFileSystem disk;
//   ... run the store on &disk ...
//   std::unique_ptr<SimFileSystem> after = disk.Crash(seed);
//   ... open the store on after.get(), compare with what was acknowledged ...
//
// Promises what io/file.h promises and nothing more. After a crash
//   - synced bytes of a file are there; of the others none, all, a prefix, or any set of sectors of
//     512 or 4096 bytes, the rest reading as zeros or as garbage;
//   - names of a synced folder are there; every unsynced create, rename and remove has happened or
//     not, each by itself; a rename leaves the old name, the new one or both (neither only when the
//     old one was not durable), and a target that it replaced is never absent.
// Bytes and names know nothing of each other: a renamed file that was not synced may be torn, and a
// file in an unsynced folder is gone with the folder.
//
// Threads: any. Lifetime: files, mappings and locks may outlive the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/file.h"

namespace fletching::io {

class SimFileSystem final : public FileSystem {
 public:
  SimFileSystem();
  ~SimFileSystem() override;

  // The disk as it is found when the power is back; everything on it is durable then, and no lock
  // is held. This disk is not changed, so one run gives as many crashes as there are seeds, at any
  // moment, also while the store is working on it.
  std::unique_ptr<SimFileSystem> Crash(uint64_t seed) const;

  // An Append that would bring the bytes of all named files above this is a kStorageFull.
  void SetCapacity(uint64_t total_bytes_max);

  // Every file with its size and its synced size, and every unsynced name: for debugging a seed.
  std::vector<std::string> Describe() const;

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

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace fletching::io
