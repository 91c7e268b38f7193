// A mutex that a background thread may hold for long. Whoever waits for it lends the holder normal
// priority (base/thread_priority.h) until it is free: on a busy machine it would else wait for an
// idle moment. For std::lock_guard and std::unique_lock.
//
// Threads: any. Between foreground threads it is a std::mutex.
#pragma once

#include <mutex>

#include "base/thread_priority.h"

namespace fletching {

class LendingMutex {
 public:
  void lock();
  void unlock();

 private:
  void LendToHolder();

  std::mutex mutex_;
  // Guards what follows. Held for a few instructions, and never at idle priority.
  std::mutex holder_mutex_;
  BackgroundThread* holder_ = nullptr;  // null while free, and for a foreground thread
  int waiter_count_ = 0;
  bool is_lent_ = false;
};

}  // namespace fletching
