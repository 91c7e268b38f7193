#include "engine/worker.h"

#include <chrono>
#include <optional>
#include <utility>

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
    // We wait for it now, for good: on a busy machine a round at idle priority would take minutes.
    if (!std::exchange(is_stopping_, true) && background_ != nullptr) background_->Lend();
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Worker::Loop() {
  BackgroundThread background;
  // Off during the rounds alone: nobody is to wait for mutex_ because we hold it at idle priority.
  std::optional<PriorityBoost> boost(std::in_place);
  std::unique_lock lock(mutex_);
  background_ = &background;
  while (true) {
    wake_.wait(lock, [this] { return is_due_ || is_stopping_; });
    if (is_stopping_) break;
    is_due_ = false;
    lock.unlock();
    boost.reset();
    const bool ok = run_();
    boost.emplace();
    lock.lock();
    if (ok) continue;
    wake_.wait_for(lock, kRetryPause, [this] { return is_stopping_; });
    is_due_ = true;
  }
  background_ = nullptr;
}

}  // namespace fletching::engine
