// Does something again and again, on a thread of its own, without taking much of a core.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace fletching::engine {

class Ticker {
 public:
  // `run` begins at most every `interval_ms`, and takes at most a tenth of the time: where it takes
  // longer, the pauses grow.
  Ticker(int64_t interval_ms, std::function<void()> run);
  ~Ticker();    // as Stop
  void Stop();  // waits for a run under way; any thread

 private:
  void Loop();

  const int64_t interval_ms_;
  const std::function<void()> run_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace fletching::engine
