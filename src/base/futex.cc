#include "base/futex.h"

#include <climits>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fletching {

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

void WaitWhile(const std::atomic<uint32_t>& word, uint32_t value) {
  while (word.load(std::memory_order_acquire) == value) {
    (void)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
  }
}

namespace {

void SetAndWakeSome(std::atomic<uint32_t>& word, uint32_t value, int waiters_max) {
  std::atomic<uint32_t>* const address = &word;
  word.store(value, std::memory_order_release);
  (void)syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, waiters_max, nullptr, nullptr, 0);
}

}  // namespace

void SetAndWake(std::atomic<uint32_t>& word, uint32_t value) { SetAndWakeSome(word, value, 1); }

void SetAndWakeAll(std::atomic<uint32_t>& word, uint32_t value) {
  SetAndWakeSome(word, value, INT_MAX);
}

}  // namespace fletching
