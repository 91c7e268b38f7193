// Where time comes from. Code below the doors never asks the system itself, so tests can move time.
#pragma once

#include <chrono>
#include <cstdint>

namespace fletching {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, microseconds since 1970-01-01 UTC. May go backwards.
  virtual int64_t NowMicros() const = 0;
};

// The system's clock. Lifetime: the process.
Clock* SystemClock();

// By the clock that only goes forward: for how long something took.
inline int64_t MillisSince(std::chrono::steady_clock::time_point start) {
  const auto took = std::chrono::steady_clock::now() - start;
  return std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
}

}  // namespace fletching
