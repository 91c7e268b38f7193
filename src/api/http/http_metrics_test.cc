#include "api/http/http_metrics.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/metric_names.h"

namespace fletching::http {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

const Route* RouteOf(std::string_view operation) {
  for (const Route& route : Routes()) {
    if (route.operation_id == operation) return &route;
  }
  return nullptr;
}

TEST(HttpMetrics, CountRequestsByRouteMethodAndStatus) {
  Metrics metrics;
  HttpMetrics door(&metrics);
  const Route* fetch = RouteOf("fetch");
  ASSERT_NE(fetch, nullptr);
  for (int i = 0; i < 3; ++i) door.CountRequest(fetch, Method::kPost, false, 200, microseconds(90));
  door.CountRequest(fetch, Method::kPost, false, 404, seconds(20));
  door.CountRequest(fetch, Method::kPost, false, 418, seconds(20));
  door.CountRequest(RouteOf("health"), Method::kGet, true, 200, microseconds(1));
  door.CountRequest(nullptr, Method::kOther, false, 400, microseconds(1));
  const auto count = [&](std::string_view route, std::string_view method, std::string_view code) {
    return metrics.Get(metric::kHttpRequests, {route, method, code})->Value();
  };
  EXPECT_EQ(count(fetch->pattern, "POST", "200"), 3);
  EXPECT_EQ(count(fetch->pattern, "POST", "404"), 1);
  EXPECT_EQ(count(fetch->pattern, "POST", "418"), 1);
  EXPECT_EQ(count("/health", "HEAD", "200"), 1);
  EXPECT_EQ(count("none", "other", "400"), 1);
  const auto reading = metrics.Get(metric::kHttpDuration, {fetch->pattern})->Read();
  EXPECT_EQ(reading.counts[1], 3);
  EXPECT_EQ(reading.counts.back(), 2);
}

TEST(HttpMetrics, CountInManyThreads) {
  Metrics metrics;
  HttpMetrics door(&metrics);
  constexpr int kThreads = 8;
  constexpr int kRounds = 2'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRounds; ++i) {
        door.CountRequest(&Routes()[static_cast<size_t>(i) % Routes().size()], Method::kGet, false,
                          i % 2 == 0 ? 200 : 503, microseconds(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t total = 0;
  const MetricReadings readings = metrics.Read();
  const auto found = readings.families().find("fletching_http_requests_total");
  ASSERT_NE(found, readings.families().end());
  for (const MetricSample& sample : found->second.samples) total += std::get<int64_t>(sample.value);
  EXPECT_EQ(total, kThreads * kRounds);
}

TEST(HttpMetrics, ReadAsPrometheusWritesThem) {
  constexpr MetricDefinition<Counter> kRows = {"rows_total", "Rows.", {"table"}};
  constexpr MetricDefinition<Gauge> kAge = {"age_seconds", "Age."};
  constexpr MetricDefinition<DurationHistogram> kTime = {"time_seconds", "Time.", {"stage"}};
  Metrics metrics;
  metrics.Get(kRows, {"a\"b\\\n"})->Add((int64_t{1} << 53) - 1);
  metrics.Get(kAge)->Set(0.25);
  metrics.Get(kTime, {"x"})->Observe(microseconds(60));
  metrics.Get(kTime, {"x"})->Observe(seconds(60));
  const std::string text = RenderMetrics(metrics.Read());
  for (const std::string line :
       {"# HELP rows_total Rows.", "# TYPE rows_total counter",
        R"(rows_total{table="a\"b\\\n"} 9007199254740991)", "# TYPE age_seconds gauge",
        "age_seconds 0.25", "# TYPE time_seconds histogram",
        R"(time_seconds_bucket{stage="x",le="5e-05"} 0)",
        R"(time_seconds_bucket{stage="x",le="0.0001"} 1)",
        R"(time_seconds_bucket{stage="x",le="10"} 1)",
        R"(time_seconds_bucket{stage="x",le="+Inf"} 2)", R"(time_seconds_count{stage="x"} 2)",
        R"(time_seconds_sum{stage="x"} 60.00006)"}) {
    EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\n" << text;
  }
}

}  // namespace
}  // namespace fletching::http
