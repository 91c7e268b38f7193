// A bound on the memory that decoding one body may hold, so that a small body which claims or
// unfolds to gigabytes ends in an error instead of a killed process.
//
// Counts what was allocated through pool() and is not yet freed, batches already handed out
// included. Does not count what Arrow keeps outside of pools (schemas, Parquet footers): those are
// bounded by checks of their own in the two readers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::ingest {

// Threads: any.
// Lifetime: arrays keep a bare pointer to the pool that made them, and they may outlive the reader
// that decoded them. So pool() stays valid until this object is gone and its last buffer is freed.
class Budget {
 public:
  explicit Budget(int64_t limit_bytes);
  ~Budget();
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  arrow::MemoryPool* pool() const;
  int64_t limit_bytes() const;
  int64_t held_bytes() const;
  // Size of the allocation that was refused first; 0 = none was. Decoders wrap a refusal in words
  // of their own, so this and not the text of a Status tells a bomb from broken bytes.
  int64_t refused_bytes() const;
  void ForgetRefusal();

 private:
  class Pool;
  Pool* pool_;
};

// What a decoder's failure means to the one who sent the body: kTooLarge when the budget refused
// something, kUnavailable when a system call failed, else kInvalidArgument ("Arrow stream: ...").
// A status that carries one of our codes keeps it.
Status BodyError(std::string_view body_kind, const Status& status, const Budget& budget);

// "256 MiB", for messages.
std::string ByteText(int64_t bytes);

}  // namespace fletching::ingest
