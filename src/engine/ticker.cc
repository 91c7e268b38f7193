#include "engine/ticker.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace fletching::engine {

Ticker::Ticker(int64_t interval_ms, std::function<void()> run)
    : interval_ms_(interval_ms), run_(std::move(run)), thread_([this] { Loop(); }) {}

Ticker::~Ticker() { Stop(); }

void Ticker::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Ticker::Loop() {
  using std::chrono::steady_clock;
  steady_clock::duration pause = std::chrono::milliseconds(interval_ms_);
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return is_stopping_; })) {
    lock.unlock();
    const auto start = steady_clock::now();
    run_();
    pause = std::max<steady_clock::duration>(std::chrono::milliseconds(interval_ms_),
                                             10 * (steady_clock::now() - start));
    lock.lock();
  }
}

}  // namespace fletching::engine
