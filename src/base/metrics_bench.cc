// What counting costs: an add, an observation, and reading the clock, which each stage does once.
#include "base/metrics.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>

namespace {

using fletching::Counter;
using fletching::DurationHistogram;
using std::chrono::steady_clock;

double NanosPerRound(int64_t rounds, const std::function<void(int64_t)>& run) {
  const auto started = steady_clock::now();
  run(rounds);
  return std::chrono::duration<double, std::nano>(steady_clock::now() - started).count() /
         static_cast<double>(rounds);
}

}  // namespace

int main(int argc, char** argv) {
  const bool smoke = argc > 1 && std::strcmp(argv[1], "--smoke") == 0;
  const int64_t rounds = smoke ? 10'000 : 20'000'000;
  Counter counter;
  DurationHistogram histogram;
  const double add = NanosPerRound(rounds, [&](int64_t n) {
    for (int64_t i = 0; i < n; ++i) counter.Add(i & 1);
  });
  const double observe = NanosPerRound(rounds, [&](int64_t n) {
    for (int64_t i = 0; i < n; ++i) histogram.Observe(std::chrono::nanoseconds(i & 0xFFFFF));
  });
  const double stage = NanosPerRound(rounds, [&](int64_t n) {
    auto before = steady_clock::now();
    for (int64_t i = 0; i < n; ++i) {
      const auto now = steady_clock::now();
      histogram.Observe(now - before);
      before = now;
    }
  });
  int64_t seen = 0;
  for (const int64_t count : histogram.Read().counts) seen += count;
  std::printf("counter_add_ns %.1f\nobserve_ns %.1f\nstage_ns %.1f\nhash %lld\n", add, observe,
              stage, static_cast<long long>(counter.Value() * 31 + seen));
  return 0;
}
