#include "base/metrics.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fletching {
namespace {

template <size_t count>
constexpr std::array<int64_t, count> ToNanos(const std::array<double, count>& seconds) {
  std::array<int64_t, count> nanos = {};
  for (size_t i = 0; i < count; ++i) nanos[i] = static_cast<int64_t>(seconds[i] * 1e9 + 0.5);
  return nanos;
}
constexpr auto kBoundsNs = ToNanos(DurationHistogram::kBoundsSeconds);

constexpr MetricFamily::Kind KindOf(const MetricDefinition<Counter>&) {
  return MetricFamily::Kind::kCounter;
}
constexpr MetricFamily::Kind KindOf(const MetricDefinition<Gauge>&) {
  return MetricFamily::Kind::kGauge;
}
constexpr MetricFamily::Kind KindOf(const MetricDefinition<DurationHistogram>&) {
  return MetricFamily::Kind::kHistogram;
}

template <typename Cell>
MetricFamily FactsOf(const MetricDefinition<Cell>& definition) {
  return {definition.name, definition.help, KindOf(definition), definition.labels, {}};
}

size_t LabelCount(const std::array<std::string_view, kMetricLabelsMax>& labels) {
  const auto end = std::find(labels.begin(), labels.end(), std::string_view());
  return static_cast<size_t>(end - labels.begin());
}

std::vector<std::string> ValuesOf(const MetricFamily& facts, Metrics::LabelValues labels) {
  FLETCHING_CHECK(labels.size() == LabelCount(facts.labels));
  return {labels.begin(), labels.end()};
}

int64_t ReadingOf(const Counter& cell) { return cell.Value(); }
double ReadingOf(const Gauge& cell) { return cell.Value(); }
DurationHistogram::Reading ReadingOf(const DurationHistogram& cell) { return cell.Read(); }

template <typename Cell>
void AddSample(const MetricDefinition<Cell>& definition, Metrics::LabelValues labels, double value,
               std::map<std::string_view, MetricFamily>* families) {
  MetricFamily& family = families->try_emplace(definition.name, FactsOf(definition)).first->second;
  FLETCHING_CHECK(family.kind == KindOf(definition));
  family.samples.push_back({ValuesOf(family, labels), value});
}

}  // namespace

// Each thread has its own copy of `anchor`, so its address is a number of the thread that costs
// nothing to make. The high bits of the product depend on all bits of the address.
size_t MetricShard() {
  static thread_local char anchor;
  constexpr uint64_t kSpread = 0x9E3779B97F4A7C15;
  static_assert(kMetricShards == 8);
  return static_cast<size_t>((reinterpret_cast<uintptr_t>(&anchor) * kSpread) >> 61);
}

int64_t Counter::Value() const {
  int64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
  return sum;
}

void DurationHistogram::Observe(std::chrono::nanoseconds took) {
  const int64_t ns = std::max<int64_t>(took.count(), 0);
  // From the shortest on: a stage mostly takes a few of the first buckets, always the same.
  size_t bucket = 0;
  while (bucket < kBoundsNs.size() && ns > kBoundsNs[bucket]) ++bucket;
  Cell& cell = cells_[MetricShard()];
  cell.counts[bucket].fetch_add(1, std::memory_order_relaxed);
  cell.sum_ns.fetch_add(ns, std::memory_order_relaxed);
}

DurationHistogram::Reading DurationHistogram::Read() const {
  Reading reading;
  for (const Cell& cell : cells_) {
    for (size_t i = 0; i < reading.counts.size(); ++i) {
      reading.counts[i] += cell.counts[i].load(std::memory_order_relaxed);
    }
    reading.sum_seconds += static_cast<double>(cell.sum_ns.load(std::memory_order_relaxed)) * 1e-9;
  }
  return reading;
}

void MetricReadings::Add(const MetricDefinition<Gauge>& definition, LabelValues labels,
                         double value) {
  AddSample(definition, labels, value, &families_);
}
void MetricReadings::Add(const MetricDefinition<Counter>& definition, LabelValues labels,
                         double value) {
  AddSample(definition, labels, value, &families_);
}

template <typename Kind>
std::shared_ptr<Kind> Metrics::GetCell(const MetricDefinition<Kind>& definition,
                                       LabelValues labels) {
  const std::lock_guard lock(mutex_);
  Family& family = families_.try_emplace(definition.name).first->second;
  if (family.facts.name.empty()) family.facts = FactsOf(definition);
  FLETCHING_CHECK(family.facts.kind == KindOf(definition));
  Cell& cell = family.cells[ValuesOf(family.facts, labels)];
  auto* held = std::get_if<std::shared_ptr<Kind>>(&cell);
  if (held != nullptr && *held != nullptr) return *held;
  auto made = std::make_shared<Kind>();
  cell = made;
  return made;
}

std::shared_ptr<Counter> Metrics::Get(const MetricDefinition<Counter>& definition,
                                      LabelValues labels) {
  return GetCell(definition, labels);
}
std::shared_ptr<Gauge> Metrics::Get(const MetricDefinition<Gauge>& definition, LabelValues labels) {
  return GetCell(definition, labels);
}
std::shared_ptr<DurationHistogram> Metrics::Get(
    const MetricDefinition<DurationHistogram>& definition, LabelValues labels) {
  return GetCell(definition, labels);
}

void Metrics::Forget(std::string_view label, std::string_view value) {
  const std::lock_guard lock(mutex_);
  for (auto& [name, family] : families_) {
    const auto& labels = family.facts.labels;
    const auto found = std::find(labels.begin(), labels.end(), label);
    if (found == labels.end()) continue;
    const auto at = static_cast<size_t>(found - labels.begin());
    std::erase_if(family.cells, [&](const auto& cell) { return cell.first[at] == value; });
  }
}

void Metrics::AddSource(std::function<void(MetricReadings*)> source) {
  const std::lock_guard lock(mutex_);
  sources_.push_back(std::move(source));
}

MetricReadings Metrics::Read() const {
  MetricReadings readings;
  std::vector<std::function<void(MetricReadings*)>> sources;
  {
    const std::lock_guard lock(mutex_);
    sources = sources_;
    for (const auto& [name, family] : families_) {
      if (family.cells.empty()) continue;
      MetricFamily& out = readings.families_.try_emplace(name, family.facts).first->second;
      for (const auto& [labels, cell] : family.cells) {
        MetricSample sample{labels, {}};
        std::visit([&](const auto& held) { sample.value = ReadingOf(*held); }, cell);
        out.samples.push_back(std::move(sample));
      }
    }
  }
  // Without the lock: a source may count, or take locks of its own.
  for (const auto& source : sources) source(&readings);
  return readings;
}

}  // namespace fletching
