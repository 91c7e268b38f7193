#include "python/src/aside.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace fletching::python {
namespace {

struct Running {
  std::mutex mutex;
  std::condition_variable changed;
  int count = 0;
};

// Never destroyed: a thread may end while the process does.
Running& Threads() {
  static auto* const running = new Running;
  return *running;
}

}  // namespace

void StartAside(std::function<void()> work) {
  Running& running = Threads();
  {
    const std::lock_guard lock(running.mutex);
    ++running.count;
  }
  std::thread([&running, work = std::move(work)]() mutable {
    work();
    work = nullptr;
    const std::lock_guard lock(running.mutex);
    --running.count;
    running.changed.notify_all();
  }).detach();
}

void WaitForAside() {
  Running& running = Threads();
  std::unique_lock lock(running.mutex);
  running.changed.wait(lock, [&] { return running.count == 0; });
}

}  // namespace fletching::python
