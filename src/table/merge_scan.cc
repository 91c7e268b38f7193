#include "table/merge_scan.h"

#include <algorithm>
#include <utility>

namespace fletching::table {

using segment::KeyBatch;

KeyBatch JoinKeys(const std::vector<ByteSpan>& keys, int32_t key_width) {
  KeyBatch joined;
  joined.count = static_cast<int64_t>(keys.size());
  joined.width = key_width;
  auto bytes = std::make_shared<std::vector<uint8_t>>();
  auto offsets = std::make_shared<std::vector<int32_t>>();
  offsets->push_back(0);
  for (const ByteSpan key : keys) {
    bytes->insert(bytes->end(), key.begin(), key.end());
    offsets->push_back(static_cast<int32_t>(bytes->size()));
  }
  bytes->push_back(0);  // never null
  joined.bytes = bytes->data();
  joined.offsets = key_width < 0 ? offsets->data() : nullptr;
  joined.owners = {bytes, offsets};
  return joined;
}

MergeScan::MergeScan(const TableState& state, std::span<const Source> sources, uint64_t commit,
                     int64_t now_us, bool keep_tombstones)
    : state_(state),
      sources_(sources),
      commit_(commit),
      now_us_(now_us),
      keep_tombstones_(keep_tombstones),
      left_(sources.size()) {}

Result<bool> MergeScan::Next(int64_t rows_max, MergeChunk* chunk) {
  while (left_ > 0) {
    if (cursor_ == UINT64_MAX) {
      --left_;
      cursor_ = 0;
      continue;
    }
    chunk->source = &sources_[left_ - 1];
    ARROW_RETURN_NOT_OK(chunk->source->Scan(commit_, &cursor_, rows_max, &chunk->keys,
                                            &chunk->bodies, &chunk->rows));
    ARROW_RETURN_NOT_OK(DropLosers(chunk));
    if (!chunk->keys.empty()) return true;
  }
  return false;
}

// Marks rows that `rival` beats: it is newer, or, with event times, holds the newer event.
Status MergeScan::DropShadowed(const KeyBatch& keys, std::vector<uint64_t>* hashes, size_t rival,
                               const MergeChunk& chunk, std::vector<bool>* keep) {
  std::vector<const uint8_t*> bodies(keep->size());
  std::vector<uint32_t> rows(keep->size());
  arena_.Clear();
  segment::KeySelection all{.keys = &keys,
                            .hashes = hashes->data(),
                            .is_hashed = true,
                            .arena = &arena_,
                            .is_background = true};
  ARROW_ASSIGN_OR_RAISE(const int64_t found,
                        sources_[rival].Find(all, commit_, bodies.data(), rows.data()));
  if (found == 0) return Status::OK();
  const auto* rival_time = FindEventColumn(state_, sources_[rival]);
  const auto* own_time = FindEventColumn(state_, *chunk.source);
  const bool rival_is_newer = &sources_[rival] < chunk.source;
  for (size_t i = 0; i < keep->size(); ++i) {
    if (bodies[i] == nullptr) continue;
    if (rival_time == nullptr) {
      (*keep)[i] = false;
      continue;
    }
    const int64_t own = RowEventTime(*own_time, chunk.bodies[i]);
    const int64_t other = RowEventTime(*rival_time, bodies[i]);
    if (other > own || (other == own && rival_is_newer)) (*keep)[i] = false;
  }
  return Status::OK();
}

Status MergeScan::DropLosers(MergeChunk* chunk) {
  const RowFilter filter(state_, *chunk->source, now_us_);
  const bool by_event_time = state_.event_time_index >= 0;
  std::vector<bool> keep(chunk->keys.size());
  for (size_t i = 0; i < keep.size(); ++i) {
    const bool is_tombstone = (chunk->bodies[i][0] & segment::kTombstoneBit) != 0;
    const bool is_expired = filter.IsExpired(chunk->bodies[i]);
    // What an event beats is an older event, and expired as well. What a commit beats may have a
    // later time, when the clock was set back in between: it stays hidden, as by a tombstone.
    keep[i] = by_event_time ? (keep_tombstones_ || !is_tombstone) && !is_expired
                            : keep_tombstones_ || (!is_tombstone && !is_expired);
  }
  const auto own = static_cast<size_t>(chunk->source - sources_.data());
  if (sources_.size() > 1 && (own > 0 || by_event_time)) {
    const KeyBatch keys = JoinKeys(chunk->keys, segment::KeyWidth(state_.schema));
    std::vector<uint64_t> hashes(keep.size());
    segment::HashKeys(keys, state_.hash_seed, hashes.data());
    const size_t rivals_end = by_event_time ? sources_.size() : own;
    for (size_t rival = 0; rival < rivals_end; ++rival) {
      if (rival == own || sources_[rival].row_count() == 0) continue;
      ARROW_RETURN_NOT_OK(DropShadowed(keys, &hashes, rival, *chunk, &keep));
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < keep.size(); ++i) {
    if (!keep[i]) continue;
    chunk->keys[kept] = chunk->keys[i];
    chunk->bodies[kept] = chunk->bodies[i];
    chunk->rows[kept] = chunk->rows[i];
    ++kept;
  }
  chunk->keys.resize(kept);
  chunk->bodies.resize(kept);
  chunk->rows.resize(kept);
  return Status::OK();
}

}  // namespace fletching::table
