// Walks the rows of several sources of one version and leaves out those that lost: what a scan
// shows and what compaction keeps. Memory: one chunk of rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "segment/keys.h"
#include "table/version.h"

namespace fletching::table {

struct MergeChunk {
  const Source* source = nullptr;
  std::vector<ByteSpan> keys;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;

  segment::RowSelection Selection() const {
    return {bodies.data(), rows.data(), nullptr, static_cast<int64_t>(bodies.size())};
  }
};

class MergeScan {
 public:
  // sources: newest first, neighbours; must outlive this. keep_tombstones: for a compaction that
  // leaves older sources out.
  MergeScan(const TableState& state, std::span<const Source> sources, uint64_t commit,
            int64_t now_us, bool keep_tombstones);

  // Fills the next chunk, oldest source first; false at the end. Chunks are never empty.
  Result<bool> Next(int64_t rows_max, MergeChunk* chunk);

 private:
  Status DropLosers(MergeChunk* chunk);
  Status DropShadowed(const segment::KeyBatch& keys, std::vector<uint64_t>* hashes, size_t rival,
                      const MergeChunk& chunk, std::vector<bool>* keep);

  const TableState& state_;
  std::span<const Source> sources_;
  uint64_t commit_;
  int64_t now_us_;
  bool keep_tombstones_;
  size_t left_;  // sources not finished; the current one is sources_[left_ - 1]
  uint64_t cursor_ = 0;
  segment::RowArena arena_;  // rows of cold rivals, for one chunk and one rival
};

// Keys as one batch, copied together. Lifetime: owns its bytes.
segment::KeyBatch JoinKeys(const std::vector<ByteSpan>& keys, int32_t key_width);

}  // namespace fletching::table
