// A file that arrives in chunks, in any order, and can be gone on with by the next process.
//
//   PATH.part         the chunks that are there, at their places
//   PATH.part.state   "fletching-part 1 SIZE CHUNK_BYTES ETAG" and a line "INDEX XXH3" per chunk
//
// Nothing is synced on the way: who goes on reads the chunks that the state names and keeps those
// whose checksum holds, so neither kill -9 nor a power loss brings a wrong byte into PATH.
// Threads: HasChunk and WriteChunk, any, of different chunks; else one at a time. Another process
// or object that opens the same path gets kLocked.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::store {

class PartialFile {
 public:
  // Takes over what is there of the same object and chunk size, else begins anew. The space of the
  // whole file is taken at once. Errors: kLocked, kStorageFull, kUnavailable, kNotFound (folder).
  static Result<std::unique_ptr<PartialFile>> Open(const std::string& path, uint64_t size_bytes,
                                                   uint64_t chunk_bytes, const std::string& etag);
  ~PartialFile();

  uint64_t chunk_count() const { return has_chunk_.size(); }
  bool HasChunk(uint64_t index) const;
  uint64_t ChunkBytes(uint64_t index) const;
  // `bytes` is the whole chunk. The disk is asked to begin with it, so that Finish waits for less.
  Status WriteChunk(uint64_t index, ByteSpan bytes);
  // Gives the file its name; all chunks must be there. `sync`: durable on return.
  Status Finish(bool sync);

 private:
  PartialFile(std::string path, uint64_t size_bytes, uint64_t chunk_bytes);
  Status OpenFiles(const std::string& head);
  Status TakeOver(const std::string& state, const std::string& head);
  Status BeginAnew(const std::string& head);

  const std::string path_;
  const std::string part_path_;
  const std::string state_path_;
  const uint64_t size_bytes_;
  const uint64_t chunk_bytes_;
  int part_ = -1;
  int state_ = -1;
  mutable std::mutex mutex_;
  std::vector<bool> has_chunk_;
};

}  // namespace fletching::store
