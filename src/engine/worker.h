// The background thread of an engine: flushes and compacts tables that ask for it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/thread_priority.h"

namespace fletching::engine {

class Worker {
 public:
  // run: one round of work; called after each Wake, and again after a pause when it returned false.
  // It runs in the background (base/thread_priority.h).
  explicit Worker(std::function<bool()> run);
  ~Worker();  // as Stop
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Wake();  // any thread
  void Stop();  // waits for the round at work, and lends it normal priority

 private:
  void Loop();

  const std::function<bool()> run_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_due_ = false;
  bool is_stopping_ = false;
  BackgroundThread* background_ = nullptr;  // the loop's, while it runs
  std::thread thread_;
};

}  // namespace fletching::engine
