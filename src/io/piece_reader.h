// Reads many pieces of a file together, past the page cache: for rows that have no place in memory
// and are wanted now, all of a look-up at once.
//
// By io_uring on a descriptor with O_DIRECT (MappedFile::OpenDirect). Where the kernel or the
// container refuses one of the two, the pages are asked for by one madvise and read through the
// mapping. docs/decisions/0011-memory-budget.md compares both.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "fletching/status.h"

#include "io/file.h"

namespace fletching::io {

// Threads: any; each that reads has a ring of its own meanwhile, which is kept for the next.
// Memory: a ring's buffers, 4 MiB once all were used.
class PieceReader {
 public:
  // allow_uring: false for tests and comparisons.
  explicit PieceReader(bool allow_uring = true);
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

  std::mutex mutex_;
  std::vector<std::unique_ptr<Ring>> idle_;
  bool has_uring_;
};

}  // namespace fletching::io
