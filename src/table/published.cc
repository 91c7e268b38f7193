#include "table/published.h"

#include <array>
#include <sched.h>

namespace fletching::table {
namespace {

// More threads than this share slots by trying the next one.
constexpr uint32_t kSlotCount = 1024;

struct alignas(64) PaddedSlot {
  HazardSlot slot;
};

std::array<PaddedSlot, kSlotCount>& Slots() {
  static std::array<PaddedSlot, kSlotCount> slots;
  return slots;
}

std::atomic<uint32_t> next_slot{0};

}  // namespace

HazardSlot* HazardSlot::Claim() {
  thread_local const uint32_t home = next_slot.fetch_add(1, std::memory_order_relaxed);
  for (uint32_t i = home;; ++i) {
    HazardSlot& slot = Slots()[i % kSlotCount].slot;
    if (!slot.is_claimed_.load(std::memory_order_relaxed) &&
        !slot.is_claimed_.exchange(true, std::memory_order_acquire)) {
      return &slot;
    }
  }
}

void HazardSlot::WaitUntilUnannounced(const void* pointer) {
  for (PaddedSlot& padded : Slots()) {
    while (padded.slot.pointer.load(std::memory_order_seq_cst) == pointer) sched_yield();
  }
}

}  // namespace fletching::table
