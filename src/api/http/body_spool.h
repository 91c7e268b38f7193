// Gathers the bytes of one body as they arrive: in memory while they are few, in an unnamed file
// of the data folder beyond that, because a Parquet file can only be read from its end.
//
// Append never touches the disk. When NeedsFlush says so, the caller lets a worker call Flush
// before it appends more, so threads that move bytes never wait for a disk.
//
// Threads: one at a time.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "fletching/status.h"

#include "api/body.h"
#include "base/bytes.h"

namespace arrow {
class ResizableBuffer;
}

namespace fletching::http {

// Shared by all bodies of a server. Lifetime: longer than theirs.
struct SpoolLimits {
  std::string folder;                                    // where files go
  int64_t memory_bytes_max = int64_t{8} << 20;           // of one body
  int64_t shared_memory_bytes_max = int64_t{512} << 20;  // of all; beyond it, bodies go to files
  std::atomic<int64_t> shared_memory_bytes = 0;
};

class BodySpool {
 public:
  // `limits` null: bytes are counted and dropped.
  explicit BodySpool(SpoolLimits* limits = nullptr) : limits_(limits) {}
  ~BodySpool();
  BodySpool(BodySpool&& other) noexcept;
  BodySpool& operator=(BodySpool&& other) noexcept;

  // Makes room for a body of a known size at once (up to what is sensible to trust).
  Status Expect(int64_t size_bytes);
  Status Append(ByteSpan bytes);
  bool NeedsFlush() const;
  // Writes what waits in memory to the file. Errors: kStorageFull, kUnavailable.
  Status Flush();
  // The body; nothing may be appended afterwards. After NeedsFlush was ever true, the caller
  // flushes the rest first.
  Result<api::Body> Finish();

  int64_t size_bytes() const { return size_bytes_; }
  // Whether it is, or in the end will be, in a file.
  bool spooled() const { return to_file_; }

 private:
  Status Grow(int64_t wanted_bytes);
  void Charge(int64_t bytes);
  Status OpenFile();

  SpoolLimits* limits_;
  std::shared_ptr<arrow::ResizableBuffer> memory_;
  int64_t pending_bytes_ = 0;  // filled part of memory_
  int64_t charged_bytes_ = 0;  // our share of shared_memory_bytes
  int64_t size_bytes_ = 0;
  int file_ = -1;
  bool to_file_ = false;
};

}  // namespace fletching::http
