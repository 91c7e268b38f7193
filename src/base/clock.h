// Where time comes from. Code below the doors never asks the system itself, so tests can move time.
#pragma once

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

}  // namespace fletching
