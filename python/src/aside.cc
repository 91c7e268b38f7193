#include "python/src/aside.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

namespace fletching::python {
namespace {

struct Running {
  pid_t owner = ::getpid();
  std::mutex mutex;
  std::condition_variable changed;
  int count = 0;
};

// Never destroyed: a thread may end while the process does. A child of a fork, which has none of
// its parent's threads, begins with one of its own.
Running& Threads() {
  static std::atomic<Running*> running = new Running;
  Running* mine = running.load();
  if (mine->owner != ::getpid()) {
    auto* fresh = new Running;
    if (running.compare_exchange_strong(mine, fresh)) return *fresh;
    delete fresh;
    mine = running.load();
  }
  return *mine;
}

}  // namespace

void StartAside(std::function<void()> work) {
  Running& running = Threads();
  const auto count = [&running](int change) {
    const std::lock_guard lock(running.mutex);
    running.count += change;
    running.changed.notify_all();
  };
  count(1);
  try {
    std::thread([count, work = std::move(work)]() mutable {
      work();
      work = nullptr;
      count(-1);
    }).detach();
  } catch (...) {
    count(-1);
    throw;
  }
}

bool WaitForAside(int64_t timeout_ms) {
  Running& running = Threads();
  std::unique_lock lock(running.mutex);
  return running.changed.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                  [&] { return running.count == 0; });
}

}  // namespace fletching::python
