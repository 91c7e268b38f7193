#include "base/lending_mutex.h"

#include <utility>

namespace fletching {

void LendingMutex::LendToHolder() {
  if (holder_ == nullptr || is_lent_) return;
  is_lent_ = true;
  holder_->Lend();
}

void LendingMutex::lock() {
  const PriorityBoost boost;
  if (!mutex_.try_lock()) {
    {
      const std::lock_guard guard(holder_mutex_);
      ++waiter_count_;
      LendToHolder();
    }
    mutex_.lock();
    const std::lock_guard guard(holder_mutex_);
    --waiter_count_;
  }
  if (BackgroundThread* const self = BackgroundThread::Current(); self != nullptr) {
    const std::lock_guard guard(holder_mutex_);
    holder_ = self;
    if (waiter_count_ > 0) LendToHolder();  // they came when another thread held it, or nobody yet
  }
}

void LendingMutex::unlock() {
  BackgroundThread* const self = BackgroundThread::Current();
  if (self == nullptr) return mutex_.unlock();
  const PriorityBoost boost;  // until the waiters can go on
  bool was_lent = false;
  {
    const std::lock_guard guard(holder_mutex_);
    holder_ = nullptr;
    was_lent = std::exchange(is_lent_, false);
  }
  if (was_lent) self->TakeBack();
  mutex_.unlock();
}

}  // namespace fletching
