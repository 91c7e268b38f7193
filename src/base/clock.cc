#include "base/clock.h"

#include <chrono>

namespace fletching {
namespace {

class RealClock final : public Clock {
 public:
  int64_t NowMicros() const override {
    const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
  }
};

}  // namespace

Clock* SystemClock() {
  static RealClock clock;
  return &clock;
}

}  // namespace fletching
