// Rows copied for one look-up, because they have no lasting place in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"

namespace fletching::segment {

// Threads: one. Lifetime: what it gave is valid until Clear.
class RowArena {
 public:
  uint8_t* Allocate(size_t bytes) {
    bytes = RoundUp(bytes, 8);
    if (bytes > left_) AddChunk(bytes);
    uint8_t* const given = next_;
    next_ += bytes;
    left_ -= bytes;
    return given;
  }
  // Keeps one chunk for the next look-up.
  void Clear() {
    if (chunks_.empty()) return;
    if (chunks_.front().bytes > kChunkBytes) chunks_.clear();
    if (chunks_.size() > 1) chunks_.resize(1);
    next_ = chunks_.empty() ? nullptr : chunks_.front().start.get() + kFrontBytes;
    left_ = chunks_.empty() ? 0 : chunks_.front().bytes;
  }

 private:
  static constexpr size_t kChunkBytes = size_t{256} << 10;
  static constexpr size_t kFrontBytes = 64;  // some are read in front of a text: kTextPieceBytes
  struct Chunk {
    std::unique_ptr<uint8_t[]> start;
    size_t bytes;
  };
  void AddChunk(size_t bytes) {
    const size_t size = std::max(bytes, kChunkBytes);
    chunks_.push_back({std::make_unique_for_overwrite<uint8_t[]>(kFrontBytes + size), size});
    next_ = chunks_.back().start.get() + kFrontBytes;
    left_ = size;
  }

  std::vector<Chunk> chunks_;
  uint8_t* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace fletching::segment
