// One run of embedded_rivals: loads what is missing, opens every store and setting, and lets them
// take turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rivals/store.h"

namespace fletching::bench {

struct ContestSettings {
  Workload workload;
  std::vector<std::string> stores, settings, distributions;
  std::vector<int64_t> keys;
  std::vector<double> miss_ratios;
  int64_t reads = 0, rounds = 0, threads = 1, seed = 1, cache_bytes = 0, warm_rows = -1;
  std::string dir;
  bool load_only = false, keep = false, reuse = false;
};

// Figures of one store, setting and kind of read.
class Series {
 public:
  void AddRound(std::vector<int64_t> nanos, double keys_per_second);
  void Print(yardstick::JsonLine* line) const;
  int64_t checked_values = 0;

 private:
  struct Round {
    yardstick::Percentiles percentiles;
    double keys_per_second;
  };
  std::vector<Round> rounds_;
};

class Contest {
 public:
  explicit Contest(ContestSettings settings);
  ~Contest();
  void Run();

 private:
  struct Entrant;
  struct Case;

  void ChooseEntrants();
  // Seconds it took, also when it was loaded by an earlier run.
  double Load(const StoreKind& kind, const std::string& load);
  void Open(Entrant* entrant);
  void Warm(Entrant* entrant);
  void Play(const Case& of, Entrant* entrant, uint64_t seed, Series* series);
  void PlayTogether(const Case& of, Entrant* entrant, uint64_t seed, Series* series);
  void Print(const Case& of, const Entrant& entrant, const Series& series) const;
  KeyDraw DrawOf(const Case& of, uint64_t seed) const;
  std::string LoadDir(const std::string& store, const std::string& load) const;

  const ContestSettings settings_;
  std::unique_ptr<const Zipf> zipf_;  // where a distribution is
  std::vector<StoreKind> kinds_;
  std::vector<Entrant> entrants_;
  std::vector<std::string> made_;  // folders to be removed in the end
};

}  // namespace fletching::bench
