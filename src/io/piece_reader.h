// Reads many pieces of a file together, past the page cache: for rows that have no place in memory
// and are wanted now, all of a look-up at once.
//
// By io_uring on a descriptor with O_DIRECT (MappedFile::OpenDirect). Where the kernel or the
// container refuses one of the two, the pages are asked for by one madvise and read through the
// mapping. docs/decisions/0011-memory-budget.md compares both.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "fletching/status.h"

#include "io/file.h"

namespace fletching::io {

// Threads: any; each that reads has a ring of its own meanwhile, which is kept for the next. Where
// all are taken it waits: a few rings are all that a disk can do.
class PieceReader {
 public:
  static constexpr int64_t kRingBytes = int64_t{2} << 20;  // of a ring's buffers

  // ring_count_max: at least 1. allow_uring: false for tests and comparisons.
  explicit PieceReader(int ring_count_max = 4, bool allow_uring = true);
  ~PieceReader();

  // Called for ranges[i] in any order on the thread that reads; `bytes` lives as long as the call.
  using Done = std::function<Status(size_t i, ByteSpan bytes)>;
  // Ranges begin and end at multiples of MappedFile::kPieceBytes, or at the end of the file.
  // Errors: those of `done`; kUnavailable naming the file when it was cut short or cannot be read.
  Status Read(const MappedFile& file, std::span<const FileRange> ranges, const Done& done);

  bool has_uring() const { return has_uring_; }

 private:
  class Ring;
  static Status ReadMapped(const MappedFile& file, std::span<const FileRange> ranges,
                           const Done& done);
  std::unique_ptr<Ring> TakeRing();
  void GiveBack(std::unique_ptr<Ring> ring);

  const int ring_count_max_;
  std::mutex mutex_;
  std::condition_variable given_back_;
  std::vector<std::unique_ptr<Ring>> idle_;
  int taken_count_ = 0;
  bool has_uring_;
};

}  // namespace fletching::io
