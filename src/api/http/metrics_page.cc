// Readings as Prometheus wants them. The one place that knows prometheus-cpp.
#include <sstream>
#include <utility>

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "api/http/http_metrics.h"

namespace fletching::http {
namespace {

using prometheus::ClientMetric;

prometheus::MetricType TypeOf(MetricFamily::Kind kind) {
  switch (kind) {
    case MetricFamily::Kind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricFamily::Kind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricFamily::Kind::kHistogram:
      break;
  }
  return prometheus::MetricType::Histogram;
}

// Buckets are cumulative on the page, and the longest one's bound is infinity.
ClientMetric::Histogram HistogramOf(const DurationHistogram::Reading& reading) {
  ClientMetric::Histogram histogram;
  uint64_t count = 0;
  for (size_t i = 0; i < DurationHistogram::kBoundsSeconds.size(); ++i) {
    count += static_cast<uint64_t>(reading.counts[i]);
    histogram.bucket.push_back({count, DurationHistogram::kBoundsSeconds[i]});
  }
  histogram.sample_count = count + static_cast<uint64_t>(reading.counts.back());
  histogram.sample_sum = reading.sum_seconds;
  return histogram;
}

ClientMetric MetricOf(const MetricFamily& family, const MetricSample& sample) {
  ClientMetric metric;
  for (size_t i = 0; i < sample.label_values.size(); ++i) {
    metric.label.push_back({std::string(family.labels[i]), sample.label_values[i]});
  }
  if (const auto* reading = std::get_if<DurationHistogram::Reading>(&sample.value)) {
    metric.histogram = HistogramOf(*reading);
    return metric;
  }
  const auto* whole = std::get_if<int64_t>(&sample.value);
  const double value =
      whole != nullptr ? static_cast<double>(*whole) : std::get<double>(sample.value);
  // Only the one of the family's kind is written.
  metric.counter.value = value;
  metric.gauge.value = value;
  return metric;
}

}  // namespace

std::string RenderMetrics(const MetricReadings& readings) {
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [name, family] : readings.families()) {
    prometheus::MetricFamily out;
    out.name = name;
    out.help = family.help;
    out.type = TypeOf(family.kind);
    for (const MetricSample& sample : family.samples) {
      out.metric.push_back(MetricOf(family, sample));
    }
    families.push_back(std::move(out));
  }
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

}  // namespace fletching::http
