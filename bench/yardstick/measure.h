// What every yardstick shares: flags, a clock, percentiles, a generator of random numbers and the
// one JSON line a program ends with. Includes nothing of Fletching: a yardstick must stand without
// the engine.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace yardstick {

// Says what went wrong and ends the program. Exit code 2: the run itself is not valid.
[[noreturn]] inline void Fail(const std::string& message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  std::exit(2);
}

inline int64_t NowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Flags of the form --name=value, --name value, or a bare --name for a switch.
// Each Get consumes its flag; Done refuses whatever nobody asked for.
class Flags {
 public:
  Flags(int argc, char** argv, std::vector<std::string> switches) : usage_(argv[0]) {
    for (int i = 1; i < argc; ++i) {
      std::string_view word = argv[i];
      if (!word.starts_with("--"))
        Fail("unexpected argument '" + std::string(word) + "'; flags start with --");
      word.remove_prefix(2);
      const size_t equals = word.find('=');
      const std::string name(word.substr(0, equals));
      if (equals != std::string_view::npos) {
        values_[name] = word.substr(equals + 1);
      } else if (std::find(switches.begin(), switches.end(), name) != switches.end() ||
                 name == "help") {
        values_[name] = "true";
      } else if (i + 1 < argc) {
        values_[name] = argv[++i];
      } else {
        Fail("flag --" + name + " needs a value");
      }
    }
  }

  std::string Text(const std::string& name, const std::string& fallback,
                   const std::string& meaning) {
    usage_ += "\n  --" + name + "=" + (fallback.empty() ? "..." : fallback) + "  " + meaning;
    const auto found = values_.find(name);
    if (found == values_.end()) return fallback;
    std::string value = found->second;
    values_.erase(found);
    return value;
  }

  int64_t Integer(const std::string& name, int64_t fallback, int64_t least,
                  const std::string& meaning) {
    const std::string text = Text(name, std::to_string(fallback), meaning);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least) {
      Fail("--" + name + " wants a whole number of at least " + std::to_string(least) + ", got '" +
           text + "'");
    }
    return value;
  }

  double Fraction(const std::string& name, double fallback, const std::string& meaning) {
    char printed[32];
    std::snprintf(printed, sizeof printed, "%g", fallback);
    const std::string text = Text(name, printed, meaning);
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value >= 0 && value <= 1)) {
      Fail("--" + name + " wants a number from 0 to 1, got '" + text + "'");
    }
    return value;
  }

  bool Switch(const std::string& name, const std::string& meaning) {
    return Text(name, "false", meaning) == "true";
  }

  // Call after the last Get: prints the usage for --help, refuses unknown flags.
  void Done() {
    if (values_.contains("help")) {
      std::printf("usage: %s\n", usage_.c_str());
      std::exit(0);
    }
    if (!values_.empty()) Fail("unknown flag --" + values_.begin()->first + "; try --help");
  }

 private:
  std::string usage_;
  std::map<std::string, std::string> values_;
};

// splitmix64: small, and the same numbers on every machine for a seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  uint64_t Below(uint64_t limit) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * limit) >> 64);
  }

 private:
  uint64_t state_;
};

// Units: microseconds. The samples are what one timed operation took, in nanoseconds.
struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0, least = 0, mean = 0;
};

inline Percentiles Summarise(std::vector<int64_t> nanos) {
  if (nanos.empty()) Fail("no samples to summarise");
  std::sort(nanos.begin(), nanos.end());
  const auto at = [&](double part) {
    return static_cast<double>(
               nanos[static_cast<size_t>(part * static_cast<double>(nanos.size() - 1))]) /
           1e3;
  };
  double sum = 0;
  for (const int64_t sample : nanos) sum += static_cast<double>(sample);
  return {at(0.5), at(0.9), at(0.99), at(0), sum / 1e3 / static_cast<double>(nanos.size())};
}

// The p50 of the quietest run of `round` samples in a row: what the machine does when it is left
// alone.
inline double QuietestP50(const std::vector<int64_t>& nanos, int64_t round) {
  double quietest = Summarise(nanos).p50;
  for (auto at = nanos.begin(); nanos.end() - at >= round; at += round) {
    quietest = std::min(quietest, Summarise({at, at + round}).p50);
  }
  return quietest;
}

// One flat JSON object, printed as one line: the last line of stdout of every yardstick.
class JsonLine {
 public:
  JsonLine& Add(const std::string& name, const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      if (static_cast<unsigned char>(c) >= 0x20) quoted += c;
    }
    return Raw(name, quoted + "\"");
  }
  JsonLine& Add(const std::string& name, const char* text) { return Add(name, std::string(text)); }
  JsonLine& Add(const std::string& name, int64_t value) { return Raw(name, std::to_string(value)); }
  JsonLine& Add(const std::string& name, bool value) { return Raw(name, value ? "true" : "false"); }
  JsonLine& Add(const std::string& name, double value) {
    char printed[32];
    std::snprintf(printed, sizeof printed, "%.3f", value);
    return Raw(name, printed);
  }
  JsonLine& Add(const Percentiles& p) {
    return Add("p50_us", p.p50)
        .Add("p90_us", p.p90)
        .Add("p99_us", p.p99)
        .Add("min_us", p.least)
        .Add("mean_us", p.mean);
  }
  JsonLine& Hash(const std::string& name, uint64_t hash) {
    char printed[32];
    std::snprintf(printed, sizeof printed, "\"%016llx\"", static_cast<unsigned long long>(hash));
    return Raw(name, printed);
  }
  JsonLine& Raw(const std::string& name, const std::string& json) {
    line_ += (line_.empty() ? "{\"" : ", \"") + name + "\": " + json;
    return *this;
  }
  void Print() const {
    std::printf("%s}\n", line_.c_str());
    std::fflush(stdout);
  }

 private:
  std::string line_;
};

}  // namespace yardstick
