#include "table/memtable.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <sys/mman.h>
#include <utility>

#include "base/check.h"
#include "format/log_layout.h"
#include "segment/keys.h"

namespace fletching::table {
namespace {

using format::RowPrefix;
using segment::RowView;

// Row numbers count 8-byte units of the arena and point at the prefix; 0 is "no row".
constexpr uint64_t kUnit = 8;
constexpr uint64_t kFirstByte = 64;  // some bytes are read in front of a text (segment/physical.h)
// One slot per 64 arena bytes; at most 60 % of them are used.
constexpr uint64_t kBytesPerSlot = 64;
// One write of this size, about 200 rows, shows that more will come.
constexpr uint64_t kLargePagesFromBytes = 16 * 1024;
constexpr size_t kLinkedTogether = 32;

struct LinkTask {
  uint32_t row;
  uint64_t hash;
};

void* Reserve(uint64_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FLETCHING_CHECK(memory != MAP_FAILED);
  return memory;
}

uint64_t SlotFor(uint64_t hash, uint32_t row) { return (hash >> 32 << 32) | row; }
uint32_t TagOf(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

Memtable::Memtable(segment::RowLayout layout, uint64_t hash_seed, int32_t event_time_index,
                   uint64_t capacity_bytes)
    : layout_(std::move(layout)),
      hash_seed_(hash_seed),
      event_time_index_(event_time_index),
      capacity_bytes_(capacity_bytes),
      slot_count_(std::bit_ceil(std::max<uint64_t>(capacity_bytes / kBytesPerSlot, 64))),
      used_bytes_(kFirstByte) {
  arena_ = static_cast<uint8_t*>(Reserve(capacity_bytes_));
  slots_ = static_cast<std::atomic<uint64_t>*>(Reserve(slot_count_ * 8));
}

Memtable::~Memtable() {
  munmap(arena_, capacity_bytes_);
  munmap(slots_, slot_count_ * 8);
}

uint64_t Memtable::VaryingBytes() const {
  const uint64_t fixed =
      row_count() * (sizeof(RowPrefix) + layout_.key_prefix_bytes() + layout_.fixed_bytes);
  return used_bytes() > fixed ? used_bytes() - fixed : 0;
}

bool Memtable::Fits(uint64_t bytes, uint64_t row_count) const {
  return used_bytes() + bytes <= capacity_bytes_ &&
         (key_count() + row_count) * 10 <= slot_count_ * 6;
}

RowView Memtable::ViewOf(uint32_t row) const {
  const uint8_t* at = arena_ + row * kUnit;
  const auto prefix = LoadAs<RowPrefix>(at);
  const uint8_t* start = at + sizeof(RowPrefix);
  const uint32_t length_bytes = layout_.key_prefix_bytes();
  const uint32_t key_bytes =
      length_bytes != 0 ? LoadAs<uint16_t>(start) : static_cast<uint32_t>(layout_.key_width);
  return {{start + length_bytes, key_bytes}, start + length_bytes + key_bytes, prefix.row_bytes};
}

int64_t Memtable::EventTime(const uint8_t* body) const {
  return LoadAs<int64_t>(body + layout_.columns[event_time_index_].slot_offset);
}

void Memtable::Link(uint32_t row, uint64_t hash) {
  const RowView view = ViewOf(row);
  for (uint64_t at = hash & (slot_count_ - 1);; at = (at + 1) & (slot_count_ - 1)) {
    const uint64_t slot = slots_[at].load(std::memory_order_relaxed);
    if (slot == 0) {
      slots_[at].store(SlotFor(hash, row), std::memory_order_release);
      key_count_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (TagOf(slot) != TagOf(hash)) continue;
    const auto older = static_cast<uint32_t>(slot);
    const RowView older_view = ViewOf(older);
    if (older_view.key.size() != view.key.size() ||
        !segment::KeysEqual(older_view.key.data(), view.key.data(),
                            static_cast<uint32_t>(view.key.size()))) {
      continue;
    }
    // A late event: whoever may see this row may also see the newer event that is there already.
    if (event_time_index_ >= 0 && EventTime(older_view.body) > EventTime(view.body)) return;
    uint8_t* prefix = arena_ + row * kUnit;
    StoreAs(prefix + offsetof(RowPrefix, previous), older);
    slots_[at].store(SlotFor(hash, row), std::memory_order_release);
    return;
  }
}

// A table that takes more than single rows: large pages spare it a page fault for nearly every row
// at first. A table of few rows stays a few small pages.
void Memtable::UseLargePages() {
  if (uses_large_pages_) return;
  uses_large_pages_ = true;
  (void)madvise(arena_, capacity_bytes_, MADV_HUGEPAGE);
  (void)madvise(slots_, slot_count_ * 8, MADV_HUGEPAGE);
}

Status Memtable::Insert(ByteSpan rows, uint64_t commit, const std::string& origin) {
  FLETCHING_CHECK(used_bytes() + rows.size() <= capacity_bytes_);
  if (rows.size() > kLargePagesFromBytes) UseLargePages();
  // Slots lie anywhere: a group of rows is copied in first, then linked while the next slots come.
  std::array<LinkTask, kLinkedTogether> group;
  uint64_t used = used_bytes();
  for (uint64_t at = 0; at < rows.size();) {
    size_t count = 0;
    for (; count < group.size() && at < rows.size(); ++count) {
      if (rows.size() - at < sizeof(RowPrefix)) return Corruption(origin, at, "row prefix is cut");
      const auto prefix = LoadAs<RowPrefix>(rows.data() + at);
      const uint64_t begin = at + sizeof(RowPrefix);
      if (prefix.row_bytes > rows.size() - begin) return Corruption(origin, at, "row is cut");
      ARROW_ASSIGN_OR_RAISE(
          const RowView parsed,
          segment::ParseRow(layout_, rows.subspan(begin, prefix.row_bytes), origin, begin));
      const uint64_t hash = segment::HashKey(parsed.key, hash_seed_);
      __builtin_prefetch(&slots_[hash & (slot_count_ - 1)], 1);
      const uint64_t padded = RoundUp(sizeof(RowPrefix) + prefix.row_bytes, kUnit);
      std::memcpy(arena_ + used, rows.data() + at, sizeof(RowPrefix) + prefix.row_bytes);
      StoreAs(arena_ + used, RowPrefix{commit, 0, prefix.row_bytes});
      group[count] = {static_cast<uint32_t>(used / kUnit), hash};
      used += padded;
      at += padded;
    }
    for (const LinkTask& task : std::span(group).first(count)) Link(task.row, task.hash);
    used_bytes_.store(used, std::memory_order_release);
    row_count_.fetch_add(count, std::memory_order_relaxed);
  }
  return Status::OK();
}

uint32_t Memtable::FindRow(ByteSpan key, uint64_t hash, uint64_t commit) const {
  for (uint64_t at = hash & (slot_count_ - 1);; at = (at + 1) & (slot_count_ - 1)) {
    const uint64_t slot = slots_[at].load(std::memory_order_acquire);
    if (slot == 0) return 0;
    if (TagOf(slot) != TagOf(hash)) continue;
    auto row = static_cast<uint32_t>(slot);
    const RowView view = ViewOf(row);
    if (view.key.size() != key.size() ||
        !segment::KeysEqual(view.key.data(), key.data(), static_cast<uint32_t>(key.size()))) {
      continue;
    }
    while (row != 0) {
      const auto prefix = LoadAs<RowPrefix>(arena_ + row * kUnit);
      if (prefix.commit <= commit) return row;
      row = prefix.previous;
    }
    return 0;
  }
}

int64_t Memtable::Find(const segment::KeySelection& keys, uint64_t commit,
                       const uint8_t** bodies_out, uint32_t* rows_out) const {
  constexpr int64_t kAhead = 8;
  const int64_t count = keys.count();
  int64_t found = 0;
  if (!keys.is_hashed) segment::HashKeys(*keys.keys, hash_seed_, keys.hashes);
  for (int64_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      __builtin_prefetch(&slots_[keys.hashes[keys.At(i + kAhead)] & (slot_count_ - 1)]);
    }
    const int64_t position = keys.At(i);
    const uint32_t row = FindRow({keys.keys->Data(position), keys.keys->Size(position)},
                                 keys.hashes[position], commit);
    rows_out[i] = row;
    bodies_out[i] = row == 0 ? nullptr : ViewOf(row).body;
    found += row == 0 ? 0 : 1;
  }
  return found;
}

void Memtable::Scan(uint64_t commit, uint64_t* cursor, int64_t limit,
                    std::vector<ByteSpan>* keys_out, std::vector<const uint8_t*>* bodies_out,
                    std::vector<uint32_t>* rows_out) const {
  keys_out->clear();
  bodies_out->clear();
  rows_out->clear();
  // Rows of `commit` and before lie in front of every later one.
  uint64_t at = *cursor == 0 ? kFirstByte : *cursor;
  const uint64_t end = used_bytes();
  while (at < end && static_cast<int64_t>(keys_out->size()) < limit) {
    const auto prefix = LoadAs<RowPrefix>(arena_ + at);
    if (prefix.commit == 0 || prefix.commit > commit) break;
    const auto row = static_cast<uint32_t>(at / kUnit);
    const RowView view = ViewOf(row);
    if (FindRow(view.key, segment::HashKey(view.key, hash_seed_), commit) == row) {
      keys_out->push_back(view.key);
      bodies_out->push_back(view.body);
      rows_out->push_back(row);
    }
    at += RoundUp(sizeof(RowPrefix) + prefix.row_bytes, kUnit);
  }
  const bool is_full = static_cast<int64_t>(keys_out->size()) >= limit;
  *cursor = is_full && at < end ? at : UINT64_MAX;
}

}  // namespace fletching::table
