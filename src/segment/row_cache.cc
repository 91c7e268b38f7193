#include "segment/row_cache.h"

#include <atomic>
#include <bit>
#include <cstring>
#include <sys/mman.h>

namespace fletching::segment {
namespace {

constexpr uint64_t kSetBytes = 8192;
constexpr uint32_t kEntriesMax = 128;
constexpr uint32_t kRowBytesMax = 4096;
constexpr uint8_t kUsesMax = 3;  // rounds of the hand that a row survives without a use
constexpr int kLockTries = 64;   // a look-up that finds its set locked for longer is a miss

// In front of the bytes of each row.
struct EntryHead {
  uint32_t segment_id;
  uint32_t row;
};

inline void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// splitmix64's last step.
inline uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

// All zeros is an empty set. Entries and their bytes are in the same order, without gaps.
struct RowCache::Set {
  std::atomic<uint32_t> lock;
  uint16_t count;
  uint16_t hand;
  uint16_t tags[kEntriesMax];
  uint16_t ends[kEntriesMax];   // in `bytes`; sizes follow from the end before
  uint16_t sizes[kEntriesMax];  // of the row alone
  uint8_t uses[kEntriesMax];
  static constexpr uint32_t kHeadBytes = 8 + kEntriesMax * 7;
  uint8_t bytes[kSetBytes - kHeadBytes];

  bool TryLock() {
    for (int i = 0; i < kLockTries; ++i) {
      if (lock.exchange(1, std::memory_order_acquire) == 0) return true;
      Pause();
    }
    return false;
  }
  void Unlock() { lock.store(0, std::memory_order_release); }
  uint32_t Begin(uint32_t entry) const { return entry == 0 ? 0 : ends[entry - 1]; }
  uint32_t used_bytes() const { return Begin(count); }

  // -> entry, or count.
  uint32_t Find(const EntryHead& head, uint16_t tag) const {
    for (uint32_t entry = 0; entry < count; ++entry) {
      if (tags[entry] != tag) continue;
      const auto here = LoadAs<EntryHead>(bytes + Begin(entry));
      if (here.segment_id == head.segment_id && here.row == head.row) return entry;
    }
    return count;
  }

  // Frees at least `wanted` bytes and an entry, and more, so that the next rows need no such pass.
  void MakeRoom(uint32_t wanted) {
    constexpr uint32_t kAtOnce = sizeof(bytes) / 8;
    bool is_victim[kEntriesMax] = {};
    uint32_t freed = sizeof(bytes) - used_bytes();
    uint32_t left = count;
    while (left > 0 && (freed < std::max(wanted, kAtOnce) || left == kEntriesMax)) {
      if (hand >= count) hand = 0;
      if (!is_victim[hand]) {
        if (uses[hand] > 0) {
          --uses[hand];
        } else {
          is_victim[hand] = true;
          freed += ends[hand] - Begin(hand);
          --left;
        }
      }
      ++hand;
    }
    uint32_t kept = 0;
    uint32_t at = 0;
    uint32_t new_hand = 0;
    uint32_t begin = 0;
    for (uint32_t entry = 0; entry < count; ++entry) {
      const uint32_t end = ends[entry];
      if (entry == hand) new_hand = kept;
      if (!is_victim[entry]) {
        std::memmove(bytes + at, bytes + begin, end - begin);
        at += end - begin;
        tags[kept] = tags[entry];
        sizes[kept] = sizes[entry];
        uses[kept] = uses[entry];
        ends[kept++] = static_cast<uint16_t>(at);
      }
      begin = end;
    }
    hand = static_cast<uint16_t>(new_hand);
    count = static_cast<uint16_t>(kept);
  }
};

RowCache::RowCache(uint64_t bytes) {
  static_assert(sizeof(Set) == kSetBytes);
  if (bytes < kSetBytes) return;
  void* const start = ::mmap(nullptr, bytes / kSetBytes * kSetBytes, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return;
  sets_ = static_cast<Set*>(start);
  set_count_ = bytes / kSetBytes;
  (void)::madvise(start, size_bytes(), MADV_HUGEPAGE);
}

RowCache::~RowCache() {
  if (sets_ != nullptr) ::munmap(sets_, size_bytes());
}

uint64_t RowCache::size_bytes() const { return set_count_ * kSetBytes; }

RowCache::Place RowCache::PlaceOf(uint32_t segment_id, uint32_t row) const {
  const uint64_t hash = Mix(uint64_t{segment_id} << 32 | row);
  const auto set = static_cast<uint64_t>((static_cast<unsigned __int128>(hash) * set_count_) >> 64);
  return {sets_ + set, static_cast<uint16_t>(hash)};
}

void RowCache::Prefetch(uint32_t segment_id, uint32_t row) const {
  if (set_count_ == 0) return;
  const auto* const start = reinterpret_cast<const uint8_t*>(PlaceOf(segment_id, row).set);
  for (int line = 0; line < 3; ++line) __builtin_prefetch(start + 64 * line, 1, 3);
}

ByteSpan RowCache::Find(uint32_t segment_id, uint32_t row, RowArena* arena) {
  if (set_count_ == 0) return {};
  const Place place = PlaceOf(segment_id, row);
  Set& set = *place.set;
  if (!set.TryLock()) return {};
  ByteSpan found;
  const uint32_t entry = set.Find({segment_id, row}, place.tag);
  if (entry < set.count) {
    if (set.uses[entry] < kUsesMax) ++set.uses[entry];
    uint8_t* const copy = arena->Allocate(set.sizes[entry]);
    std::memcpy(copy, set.bytes + set.Begin(entry) + sizeof(EntryHead), set.sizes[entry]);
    found = {copy, set.sizes[entry]};
  }
  set.Unlock();
  return found;
}

void RowCache::Add(uint32_t segment_id, uint32_t row, ByteSpan bytes) {
  if (set_count_ == 0 || bytes.size() > kRowBytesMax) return;
  const Place place = PlaceOf(segment_id, row);
  Set& set = *place.set;
  if (!set.TryLock()) return;
  const EntryHead head{segment_id, row};
  const auto entry_bytes = static_cast<uint32_t>(RoundUp(sizeof(head) + bytes.size(), 8));
  if (set.Find(head, place.tag) == set.count) {
    if (set.count == kEntriesMax || set.used_bytes() + entry_bytes > sizeof(set.bytes)) {
      set.MakeRoom(entry_bytes);
    }
    uint8_t* const target = set.bytes + set.used_bytes();
    StoreAs(target, head);
    std::memcpy(target + sizeof(head), bytes.data(), bytes.size());
    const uint16_t entry = set.count;
    set.tags[entry] = place.tag;
    set.sizes[entry] = static_cast<uint16_t>(bytes.size());
    set.uses[entry] = 0;
    set.ends[entry] = static_cast<uint16_t>(set.used_bytes() + entry_bytes);
    set.count = static_cast<uint16_t>(entry + 1);
  }
  set.Unlock();
}

}  // namespace fletching::segment
