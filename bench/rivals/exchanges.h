// What the clients of the rivals share: exchanges files, a core to stay on, and a loop that times
// requests one after another or, open loop, from when they were due.
#pragma once

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sched.h>
#include <string>
#include <thread>
#include <vector>

#include "../yardstick/measure.h"

namespace rivals {

struct Exchange {
  std::string request, reply;
};

// A file of u32 length, request, u32 length, reply that is due, and so on; little-endian.
inline std::vector<Exchange> ReadExchanges(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  if (!file) yardstick::Fail("cannot read " + path + ": " + std::strerror(errno));
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Exchange> exchanges;
  size_t at = 0;
  const auto piece = [&] {
    uint32_t size = 0;
    if (bytes.size() - at >= 4) std::memcpy(&size, bytes.data() + at, 4);
    if (bytes.size() - at < 4 || bytes.size() - at - 4 < size) {
      yardstick::Fail(path + " is cut off");
    }
    at += 4 + size;
    return bytes.substr(at - size, size);
  };
  while (at < bytes.size()) {
    std::string request = piece();
    exchanges.push_back({std::move(request), piece()});
  }
  return exchanges;
}

inline void StayOn(int64_t cpu) {
  if (cpu < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<size_t>(cpu), &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
    yardstick::Fail("--cpu=" + std::to_string(cpu) + ": " + std::strerror(errno));
  }
}

struct Pace {
  int64_t milliseconds, requests_min, requests_max, warmup, rate;
  bool sleep;
};

inline Pace ParsePace(yardstick::Flags* flags) {
  Pace p;
  p.milliseconds = flags->Integer("milliseconds", 1'000, 1, "how long to go on");
  p.requests_min = flags->Integer("requests-min", 3, 1, "timed requests, even if it takes longer");
  p.requests_max = flags->Integer("requests-max", 100'000'000, 1, "timed requests at most");
  p.warmup = flags->Integer("warmup", 5, 0, "requests before the timed ones");
  p.rate = flags->Integer("rate", 0, 0, "requests a second, due at fixed times; 0 = back to back");
  p.sleep = flags->Switch("sleep", "with --rate: sleep until a request is due, as a writer may");
  return p;
}

// ask(i) sends request i of `count` and waits for its reply; check(i) looks at that reply, untimed.
// Prints the JSON line.
template <typename Ask, typename Check>
void RunAndPrint(const Pace& pace, size_t count, const Ask& ask, const Check& check) {
  using yardstick::NowNanos;
  std::vector<int64_t> nanos;
  const int64_t interval = pace.rate == 0 ? 0 : 1'000'000'000 / pace.rate;
  int64_t begin = 0;
  for (int64_t i = -pace.warmup; i < pace.requests_max; ++i) {
    if (i == 0) begin = NowNanos();
    const size_t which = static_cast<size_t>(i + pace.warmup) % count;
    int64_t start = NowNanos();
    if (i >= pace.requests_min && start - begin > pace.milliseconds * 1'000'000) break;
    if (interval != 0 && i >= 0) {
      const int64_t due = begin + i * interval;
      if (pace.sleep) std::this_thread::sleep_for(std::chrono::nanoseconds(due - NowNanos()));
      while (NowNanos() < due) {  // on a core of its own, so that no wake-up of ours is counted
      }
      start = due;
    }
    ask(which);
    const int64_t taken = NowNanos() - start;
    check(which);
    if (i >= 0) nanos.push_back(taken);
  }
  const double seconds = static_cast<double>(NowNanos() - begin) / 1e9;
  const auto timed = static_cast<int64_t>(nanos.size());
  yardstick::JsonLine()
      .Add("count", timed)
      .Add("rate", static_cast<double>(timed) / seconds)
      .Add(yardstick::Summarise(nanos))
      .Print();
}

}  // namespace rivals
