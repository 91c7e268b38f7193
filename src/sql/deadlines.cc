#include "sql/deadlines.h"

#include <utility>

namespace fletching::sql {
namespace {

// A query that began to work again after its interrupt (a scan between two batches) gets another.
constexpr auto kAgain = std::chrono::milliseconds(20);

}  // namespace

Deadlines::~Deadlines() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

Deadlines::Watch::Watch(Deadlines* all, std::shared_ptr<duck::DuckConnection> connection, Time at)
    : all_(all), at_(at) {
  const std::lock_guard lock(all_->mutex_);
  place_ = all_->watched_.emplace(at, std::move(connection));
  if (!all_->thread_.joinable()) all_->thread_ = std::thread([all] { all->Run(); });
  all_->changed_.notify_all();
}

Deadlines::Watch::~Watch() {
  std::shared_ptr<duck::DuckConnection> last;  // what it held goes after the lock
  const std::lock_guard lock(all_->mutex_);
  last = std::move(place_->second);
  all_->watched_.erase(place_);
}

void Deadlines::Run() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (watched_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Time now = std::chrono::steady_clock::now();
    Time next = watched_.begin()->first;
    for (const auto& [at, connection] : watched_) {
      if (at > now) break;
      connection->Interrupt();
      next = now + kAgain;
    }
    changed_.wait_until(lock, next);
  }
}

}  // namespace fletching::sql
