// Waiting for a 32-bit word to change. std::atomic::wait does the same but yields in a loop first,
// which cost a quarter of both cores with 64 waiting writers.
#pragma once

#include <atomic>
#include <cstdint>

namespace fletching {

// Returns when `word` is no longer `value`. Threads: any.
void WaitWhile(const std::atomic<uint32_t>& word, uint32_t value);

// Sets the word and wakes one thread that waits for it. The word's owner may destroy it as soon as
// it sees the value; only its address is used after that.
void SetAndWake(std::atomic<uint32_t>& word, uint32_t value);
// As SetAndWake, for all threads that wait: one system call, and those that wake wake in parallel.
void SetAndWakeAll(std::atomic<uint32_t>& word, uint32_t value);

}  // namespace fletching
