// The background thread of an engine: flushes and compacts tables that ask for it.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace fletching::engine {

class Worker {
 public:
  // run: one round of work; called after each Wake, and again after a pause when it returned false.
  explicit Worker(std::function<bool()> run);
  ~Worker();  // waits for the round at work
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Wake();  // any thread
  void Stop();

 private:
  void Loop();

  const std::function<bool()> run_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_due_ = false;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace fletching::engine
