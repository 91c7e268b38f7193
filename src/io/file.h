// Files as the store needs them: appended once, synced, renamed, mapped. Everything that touches a
// disk goes through here, so faults can be injected and power loss simulated.
//
// Does not know what the bytes mean.
//
// What a crash leaves (the promise the real disk makes and SimFileSystem enforces):
//   - bytes appended are durable after Sync of that file returned OK, and not before;
//   - a created, renamed or removed name is durable after SyncFolder of its folder, not before;
//   - Rename replaces an existing target atomically.
// After a failed Sync the file is abandoned: nobody calls Sync on it again and believes the answer.
// Errors everywhere: kUnavailable with path and errno text, kStorageFull for ENOSPC and EDQUOT.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::io {

// A file being written, from its start or its end on. Not thread-safe. Closed by the destructor.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // Appends all pieces in order with as few system calls as possible. After an error the file is as
  // it was before, and may be appended to again; where that could not be had, every later call
  // fails as well, and the file is to be given up.
  virtual Status Append(std::span<const ByteSpan> pieces) = 0;
  Status Append(ByteSpan bytes) { return Append(std::span<const ByteSpan>(&bytes, 1)); }
  // Puts zeros behind the end, so that the next `bytes` appended find their place in the file:
  // their Sync then has no new length to make durable, which halves it. A mapping of the file sees
  // the zeros; size_bytes() does not count them. An error changes nothing: the file may be appended
  // to.
  virtual Status Reserve(uint64_t bytes) = 0;
  // Reads back bytes that were appended. Errors: kUnavailable when the range is not there.
  virtual Status ReadAt(uint64_t offset_bytes, std::span<uint8_t> target) = 0;
  // Asks the disk to start writing what was appended so far; no promise, no wait.
  virtual void StartWriteback() = 0;
  // fdatasync: on return everything appended so far, and the size, is durable. After an error every
  // later call but Close fails.
  virtual Status Sync() = 0;
  // Errors of close(2) matter (NFS, quota): call it before trusting the file.
  virtual Status Close() = 0;
  virtual uint64_t size_bytes() const = 0;
};

// A stretch of a file.
struct FileRange {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
};

// A whole file mapped read-only. Threads: any. Lifetime: bytes() is valid as long as this object,
// also after the file was removed or renamed.
// When a page cannot be had, because somebody cut the file short or the disk failed, all of bytes()
// reads as zeros from then on (io/mapping_fault.h); checks made before may hold no longer, so code
// that parses loads a length once. Who shows what it read, or makes it durable, asks CheckRead
// after its last look.
class MappedFile {
 public:
  virtual ~MappedFile() = default;
  virtual ByteSpan bytes() const = 0;
  virtual const std::string& path() const = 0;

  // Errors: kUnavailable naming the file, from the first page on that could not be had.
  Status CheckRead() const {
    // Orders the reads before it with the flag: who saw zeros sees why.
    std::atomic_thread_fence(std::memory_order_acquire);
    return has_failed_.load(std::memory_order_relaxed) ? ReadError() : Status::OK();
  }
  // For whoever finds out by its contents that the file was cut short.
  void MarkFailed() const { has_failed_.store(true, std::memory_order_relaxed); }

  // Maps what is in the page cache now, or can be read, so that no reader meets a fault. Best
  // effort.
  virtual void Populate() const {}

  // A partial file is a cache of one that lies elsewhere: what is not here yet may not be looked at
  // in bytes(). Ranges begin and end at multiples of kPieceBytes, or at the end of the file.
  static constexpr uint64_t kPieceBytes = 4096;
  virtual bool is_partial() const { return false; }
  virtual bool IsHere(const FileRange& /*range*/) const { return true; }
  // Brings ranges here, together. `accept` is asked about the bytes of each, in pieces, before they
  // can be seen in bytes(). Errors: those of where they come from; of `accept`; kStorageFull.
  using Accept = std::function<Status(uint64_t offset_bytes, ByteSpan bytes)>;
  virtual Status Fetch(std::span<const FileRange> ranges, const Accept& accept) const;

  // For those who keep less of the file in memory than there is (io/piece_reader.h).
  // Has OpenDirect succeeded, a descriptor whose reads leave the page cache alone; else -1.
  virtual int direct_descriptor() const { return -1; }
  // To be called before anybody reads, and while the name still leads to this file. Best effort.
  virtual void OpenDirect() {}
  // Has the disk begin to read these ranges, all at once; advice.
  virtual void WillNeed(std::span<const FileRange> /*ranges*/) const {}
  // Nobody will look at this range soon: it takes no memory then, here or in the page cache;
  // advice.
  virtual void LetGo(const FileRange& /*range*/) const {}

  // Told at every look-up, for a cache that counts and wants to know what nobody uses.
  // was_here: nothing had to be fetched for it.
  virtual void MarkUsed(bool /*was_here*/) const {}

 protected:
  mutable std::atomic<bool> has_failed_{false};

 private:
  Status ReadError() const;
};

// Touches every page, so that one that cannot be had is known now. Errors: as CheckRead.
Status ReadThrough(const MappedFile& file);

// Opens segment files in place of the file system, when some of them are partial.
// Threads: any. Lifetime: outlives the files it opened.
class SegmentOpener {
 public:
  virtual ~SegmentOpener() = default;
  // Errors: as FileSystem::Map.
  virtual Result<std::shared_ptr<MappedFile>> OpenSegment(const std::string& path) = 0;
};

// Held until destroyed; the operating system frees it when the process dies, however it dies.
class FolderLock {
 public:
  virtual ~FolderLock() = default;
};

struct FolderEntry {
  std::string name;
  bool is_folder = false;
  uint64_t size_bytes = 0;
};

// Threads: all methods, any thread.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  // Errors: kAlreadyExists when the path exists.
  virtual Result<std::unique_ptr<AppendFile>> Create(const std::string& path) = 0;
  // Errors: kNotFound.
  virtual Result<std::shared_ptr<MappedFile>> Map(const std::string& path) = 0;
  virtual Status Rename(const std::string& source, const std::string& target) = 0;
  // A second name for a file; both share its bytes. Durable as a created name is.
  // Errors: kAlreadyExists; kNotFound; kUnavailable where there can be none, as between two disks.
  virtual Status Link(const std::string& source, const std::string& target) = 0;
  virtual Status Remove(const std::string& path) = 0;  // a file; kNotFound when absent
  // With everything in it; kNotFound when absent. Not atomic: a crash may leave a part.
  virtual Status RemoveFolder(const std::string& path) = 0;
  // With parents; fine when it exists. Durable after SyncFolder of every folder that got a new
  // name.
  virtual Status MakeFolder(const std::string& path) = 0;
  virtual Status SyncFolder(const std::string& path) = 0;
  virtual Result<std::vector<FolderEntry>> List(const std::string& path) = 0;  // by name
  virtual bool Exists(const std::string& path) = 0;
  // Absolute, without symbolic links, "." and "..", also of a path that is not there yet: two paths
  // are the same place when this is.
  virtual std::string RealPath(const std::string& path) = 0;
  // Exclusive, not waiting. Writes our pid into the file. Errors: kLocked naming the holder's pid.
  virtual Result<std::unique_ptr<FolderLock>> Lock(const std::string& path) = 0;
};

// The real disk. Lifetime: the process. Mappings of 2 MiB and more start at 2 MiB-aligned addresses
// so that the kernel can use large folios; pieces are written as given (callers write 8 MiB or more
// at a time).
FileSystem* PosixFileSystem();

}  // namespace fletching::io
