#include "engine/worker.h"

#include <chrono>
#include <pthread.h>
#include <sched.h>
#include <utility>

#include "base/thread_priority.h"

namespace fletching::engine {
namespace {

// After a failure (a full disk, say): often enough to heal soon, rarely enough to cost nothing.
constexpr std::chrono::milliseconds kRetryPause{500};

}  // namespace

Worker::Worker(std::function<bool()> run) : run_(std::move(run)), thread_([this] { Loop(); }) {}

Worker::~Worker() { Stop(); }

void Worker::Wake() {
  {
    const std::lock_guard lock(mutex_);
    is_due_ = true;
  }
  wake_.notify_one();
}

void Worker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  if (!thread_.joinable()) return;
  // We wait for it now: on a busy machine a round at idle priority would take minutes.
  const sched_param none{};
  (void)pthread_setschedparam(thread_.native_handle(), SCHED_OTHER, &none);
  thread_.join();
}

void Worker::Loop() {
  RunInBackground();
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return is_due_ || is_stopping_; });
    if (is_stopping_) return;
    is_due_ = false;
    lock.unlock();
    const bool ok = run_();
    lock.lock();
    if (ok) continue;
    wake_.wait_for(lock, kRetryPause, [this] { return is_stopping_; });
    is_due_ = true;
  }
}

}  // namespace fletching::engine
