#include "table/locator.h"

#include <algorithm>

namespace fletching::table {
namespace {

// Of a row whose key ends at `front`: all of its slots, and as much text as is usual.
uint32_t TypicalRowBytes(const Source& source, uint32_t front) {
  constexpr uint64_t kTextBytesMax = 4 * 64;  // longer ones are fetched by the processor, in a row
  const segment::RowLayout& layout = source.layout();
  const uint32_t fixed = front + layout.fixed_bytes;
  if (layout.var_count == 0 || source.segment == nullptr || source.row_count() == 0) return fixed;
  // Half of the padding is no text.
  const uint64_t mean = source.segment->footer().row_bytes / source.row_count();
  const uint64_t unpadded = mean - std::min<uint64_t>(mean, layout.unit_bytes / 2);
  return fixed + static_cast<uint32_t>(
                     std::min(unpadded - std::min<uint64_t>(unpadded, fixed), kTextBytesMax));
}

}  // namespace

using segment::KeySelection;

Status Locator::Run() {
  const auto count = static_cast<size_t>(keys_.count);
  s_.Resize(count);
  s_.sources.clear();
  s_.arena.Clear();
  const std::vector<Source>& sources = version_.sources;
  size_t first = 0;
  while (first < sources.size() && sources[first].row_count() == 0) ++first;
  if (first == sources.size()) {
    std::fill(s_.bodies.begin(), s_.bodies.end(), nullptr);
    return Status::OK();
  }
  first_source_ = first;
  if (IsPartitioned(first)) return SearchPartitions(first);
  searched_count_ = 1;
  KeySelection all = Selection(first);
  all.is_hashed = false;
  ARROW_ASSIGN_OR_RAISE(
      found_count_, sources[first].Find(all, version_.commit, s_.bodies.data(), s_.rows.data()));
  is_one_source_ = true;
  const bool by_event_time = version_.state->event_time_index >= 0;
  for (size_t i = first + 1; i < sources.size(); ++i) {
    if (sources[i].row_count() == 0) continue;
    if (!by_event_time && found_count_ == keys_.count) break;
    if (is_one_source_) s_.sources.assign(count, static_cast<uint16_t>(first));
    is_one_source_ = false;
    searched_count_ = i + 1 - first;
    ARROW_RETURN_NOT_OK(by_event_time ? SearchNewer(i) : SearchRest(i));
  }
  return Status::OK();
}

KeySelection Locator::Selection(size_t source) {
  KeySelection selection{.keys = &keys_,
                         .hashes = s_.hashes.data(),
                         .hash_seed = version_.state->hash_seed,
                         .is_hashed = true,
                         .arena = &s_.arena};
  selection.touched = Touched(version_.sources[source]);
  return selection;
}

// Body offsets of the wanted columns that lie behind a row's first cache line, one per line. Where
// rows are aligned to lines, keys as long as the first one's tell where lines begin; else offsets
// 32 bytes apart are taken for lines of their own.
std::span<const uint32_t> Locator::Touched(const Source& source) {
  constexpr uint32_t kLineBytes = 64;
  const segment::RowLayout& layout = source.layout();
  s_.touched.clear();
  const bool is_aligned = layout.unit_bytes == kLineBytes;
  const uint32_t front = layout.key_prefix_bytes() + (keys_.count > 0 ? keys_.Size(0) : 0);
  const uint32_t row_bytes = TypicalRowBytes(source, front);
  if (is_aligned ? row_bytes <= kLineBytes : layout.fixed_bytes < 48) return {};
  bool has_text = false;
  for (const uint32_t id : column_ids_) {
    const segment::LayoutColumn* column = layout.Find(id);
    if (column == nullptr || column->encoding != format::Encoding::kPacked) continue;
    has_text = has_text || column->is_variable;
    s_.touched.push_back(column->is_variable ? layout.fixed_bytes : column->slot_offset);
  }
  if (has_text && is_aligned) {
    for (auto at = static_cast<uint32_t>(RoundUp(front + layout.fixed_bytes, kLineBytes));
         at < row_bytes; at += kLineBytes) {
      s_.touched.push_back(at - front);
    }
  }
  if (!std::is_sorted(s_.touched.begin(), s_.touched.end())) {
    std::sort(s_.touched.begin(), s_.touched.end());
  }
  size_t kept = 0;
  uint32_t line_end = is_aligned ? kLineBytes - std::min(front, kLineBytes) : 48;
  for (const uint32_t offset : s_.touched) {
    if (offset < line_end) continue;
    s_.touched[kept++] = offset;
    line_end = is_aligned ? static_cast<uint32_t>(RoundUp(front + offset + 1, kLineBytes)) - front
                          : offset + 32;
  }
  s_.touched.resize(kept);
  return s_.touched;
}

// Sources of a generation are its segments, the last partition first, and an empty memory table.
bool Locator::IsPartitioned(size_t first) const {
  const uint32_t count = version_.state->partition_count;
  if (count < 2 || version_.sources.size() - first != count) return false;
  return std::all_of(version_.sources.begin() + static_cast<ptrdiff_t>(first),
                     version_.sources.end(),
                     [](const Source& source) { return source.segment != nullptr; });
}

// A counting sort: each partition's keys in the order of the request.
void Locator::SortByPartition(uint32_t count) {
  const auto keys = static_cast<size_t>(keys_.count);
  s_.partition_hashes.resize(keys);
  segment::HashKeys(keys_, 0, s_.partition_hashes.data());
  s_.starts.assign(count + 1, 0);
  for (uint64_t& hash : s_.partition_hashes) {
    hash = segment::PartitionOf(hash, count);
    ++s_.starts[hash + 1];
  }
  for (uint32_t i = 0; i < count; ++i) s_.starts[i + 1] += s_.starts[i];
  s_.positions.resize(keys);
  for (size_t i = 0; i < keys; ++i) {
    s_.positions[s_.starts[s_.partition_hashes[i]]++] = static_cast<uint32_t>(i);
  }
  // Each start has become its partition's end.
  for (uint32_t i = count; i > 0; --i) s_.starts[i] = s_.starts[i - 1];
  s_.starts[0] = 0;
}

Status Locator::SearchPartitions(size_t first) {
  const uint32_t count = version_.state->partition_count;
  const auto keys = static_cast<size_t>(keys_.count);
  segment::HashKeys(keys_, version_.state->hash_seed, s_.hashes.data());
  SortByPartition(count);
  std::fill(s_.bodies.begin(), s_.bodies.end(), nullptr);
  s_.sources.assign(keys, static_cast<uint16_t>(first));
  searched_count_ = count;
  for (uint32_t partition = 0; partition < count; ++partition) {
    const size_t source = first + count - 1 - partition;
    const std::span<const uint32_t> positions(s_.positions.data() + s_.starts[partition],
                                              s_.starts[partition + 1] - s_.starts[partition]);
    if (positions.empty()) continue;
    s_.found_bodies.resize(positions.size());
    s_.found_rows.resize(positions.size());
    KeySelection selection = Selection(source);
    selection.is_all = false;
    selection.positions = positions;
    ARROW_ASSIGN_OR_RAISE(const int64_t found, version_.sources[source].Find(
                                                   selection, version_.commit,
                                                   s_.found_bodies.data(), s_.found_rows.data()));
    found_count_ += found;
    for (size_t i = 0; found > 0 && i < positions.size(); ++i) Take(positions[i], source, i);
  }
  return Status::OK();
}

// Only keys that no newer source had.
Status Locator::SearchRest(size_t source) {
  s_.pending.clear();
  for (size_t i = 0; i < s_.bodies.size(); ++i) {
    if (s_.bodies[i] == nullptr) s_.pending.push_back(static_cast<uint32_t>(i));
  }
  s_.found_bodies.resize(s_.pending.size());
  s_.found_rows.resize(s_.pending.size());
  KeySelection rest = Selection(source);
  rest.is_all = false;
  rest.positions = s_.pending;
  ARROW_ASSIGN_OR_RAISE(const int64_t found,
                        version_.sources[source].Find(rest, version_.commit, s_.found_bodies.data(),
                                                      s_.found_rows.data()));
  found_count_ += found;
  for (size_t i = 0; found > 0 && i < s_.pending.size(); ++i) Take(s_.pending[i], source, i);
  return Status::OK();
}

// All keys: an older source may hold the newer event.
Status Locator::SearchNewer(size_t source) {
  s_.found_bodies.resize(s_.bodies.size());
  s_.found_rows.resize(s_.bodies.size());
  ARROW_ASSIGN_OR_RAISE(const int64_t found, version_.sources[source].Find(
                                                 Selection(source), version_.commit,
                                                 s_.found_bodies.data(), s_.found_rows.data()));
  if (found == 0) return Status::OK();
  const auto* column = FindEventColumn(*version_.state, version_.sources[source]);
  for (size_t i = 0; i < s_.bodies.size(); ++i) {
    if (s_.found_bodies[i] == nullptr) continue;
    if (s_.bodies[i] != nullptr) {
      const auto* best = FindEventColumn(*version_.state, version_.sources[s_.sources[i]]);
      if (RowEventTime(*best, s_.bodies[i]) >= RowEventTime(*column, s_.found_bodies[i])) {
        continue;
      }
    } else {
      ++found_count_;
    }
    Take(i, source, i);
  }
  return Status::OK();
}

void Locator::Take(size_t key, size_t source, size_t found) {
  if (s_.found_bodies[found] == nullptr) return;
  s_.bodies[key] = s_.found_bodies[found];
  s_.rows[key] = s_.found_rows[found];
  s_.sources[key] = static_cast<uint16_t>(source);
}

}  // namespace fletching::table
