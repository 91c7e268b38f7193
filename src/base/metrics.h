// What a process counts about itself: counters, gauges and durations, by name and labels.
//
//   metrics->Get(metric::kLoadFailures, {table, "mistyped"})->Add();  // where it is rare
//   hits_ = metrics->Get(metric::kFetchKeys, {table, "hit"});         // once; then, where it is
//   hot, hits_->Add(found);
//
// Definitions stand in base/metric_names.h, and nowhere else. A metric without a cell is not shown,
// so nothing is exported that nobody sets. Knows no text format (api/http/metrics_page does), and
// is no global: whoever counts gets one through its options.
//
// Threads: any. Cost: Get takes a lock and looks names up; bumping a cell is a relaxed atomic add
// to memory that mostly one thread writes, some nanoseconds. Lifetime: cells live as long as
// somebody holds them, also after Forget.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fletching {

// As many as threads bump at a time on the hosts we know; more share.
inline constexpr size_t kMetricShards = 8;
size_t MetricShard();  // of the calling thread

// Only goes up.
class Counter {
 public:
  void Add(int64_t count = 1) {
    cells_[MetricShard()].value.fetch_add(count, std::memory_order_relaxed);
  }
  int64_t Value() const;

 private:
  struct alignas(64) Cell {
    std::atomic<int64_t> value{0};
  };
  std::array<Cell, kMetricShards> cells_;
};

// Goes both ways.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double change) { value_.fetch_add(change, std::memory_order_relaxed); }
  double Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// How long something took, in fixed buckets.
class DurationHistogram {
 public:
  // Upper bounds, inclusive: 50 us to 10 s, dense where a read lies.
  static constexpr std::array<double, 17> kBoundsSeconds = {
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
      0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10};
  struct Reading {
    std::array<int64_t, kBoundsSeconds.size() + 1> counts = {};  // each bucket's own; last: longer
    double sum_seconds = 0;
  };

  void Observe(std::chrono::nanoseconds took);
  Reading Read() const;

 private:
  struct alignas(64) Cell {
    std::array<std::atomic<int64_t>, kBoundsSeconds.size() + 1> counts = {};
    std::atomic<int64_t> sum_ns{0};
  };
  std::array<Cell, kMetricShards> cells_;
};

inline constexpr size_t kMetricLabelsMax = 3;

// A metric before anybody counts. Lifetime of the texts: the process.
template <typename Cell>
struct MetricDefinition {
  std::string_view name;
  std::string_view help;
  std::array<std::string_view, kMetricLabelsMax> labels = {};  // names, then empty ones
};

// What was counted, at one moment.
struct MetricSample {
  std::vector<std::string> label_values;
  std::variant<int64_t, double, DurationHistogram::Reading> value;
};
struct MetricFamily {
  enum class Kind : uint8_t { kCounter, kGauge, kHistogram };
  std::string_view name;
  std::string_view help;
  Kind kind = Kind::kGauge;
  std::array<std::string_view, kMetricLabelsMax> labels = {};
  std::vector<MetricSample> samples;
};

// Families by name, with samples of sources beside those of cells.
class MetricReadings {
 public:
  using LabelValues = std::initializer_list<std::string_view>;
  void Add(const MetricDefinition<Gauge>& definition, LabelValues labels, double value);
  void Add(const MetricDefinition<Counter>& definition, LabelValues labels, double value);
  const std::map<std::string_view, MetricFamily>& families() const { return families_; }

 private:
  friend class Metrics;
  std::map<std::string_view, MetricFamily> families_;
};

class Metrics {
 public:
  using LabelValues = std::initializer_list<std::string_view>;

  // The cell of these label values, made at the first call. labels: one value for each label of the
  // definition. Values must be few and known: names of tables that exist, patterns of routes;
  // nothing that comes over the wire as it came.
  std::shared_ptr<Counter> Get(const MetricDefinition<Counter>& definition,
                               LabelValues labels = {});
  std::shared_ptr<Gauge> Get(const MetricDefinition<Gauge>& definition, LabelValues labels = {});
  std::shared_ptr<DurationHistogram> Get(const MetricDefinition<DurationHistogram>& definition,
                                         LabelValues labels = {});

  // Shows no cell with this label value any more, until the next Get: of a table that was dropped.
  void Forget(std::string_view label, std::string_view value);

  // For what is known without counting, such as rows of tables: asked at every Read.
  // Lifetime: what `source` refers to, as long as anybody calls Read.
  void AddSource(std::function<void(MetricReadings*)> source);

  MetricReadings Read() const;

 private:
  using Cell = std::variant<std::shared_ptr<Counter>, std::shared_ptr<Gauge>,
                            std::shared_ptr<DurationHistogram>>;
  struct Family {
    MetricFamily facts;  // without samples
    std::map<std::vector<std::string>, Cell> cells;
  };
  template <typename Kind>
  std::shared_ptr<Kind> GetCell(const MetricDefinition<Kind>& definition, LabelValues labels);

  mutable std::mutex mutex_;
  std::map<std::string_view, Family> families_;
  std::vector<std::function<void(MetricReadings*)>> sources_;
};

}  // namespace fletching
