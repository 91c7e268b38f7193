#include "base/metrics.h"

#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/metric_names.h"

namespace fletching {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr MetricDefinition<Counter> kRows = {"rows_total", "Rows.", {"table", "result"}};
constexpr MetricDefinition<Gauge> kAge = {"age_seconds", "Age.", {"table"}};
constexpr MetricDefinition<DurationHistogram> kTime = {"time_seconds", "Time."};

// "rows_total{a,hit} 3" and so on, one a line.
std::string Text(const Metrics& metrics) {
  std::ostringstream text;
  const MetricReadings readings = metrics.Read();
  for (const auto& [name, family] : readings.families()) {
    for (const MetricSample& sample : family.samples) {
      text << name << "{";
      for (const std::string& value : sample.label_values) text << value << ",";
      text << "} ";
      if (const auto* count = std::get_if<int64_t>(&sample.value)) text << *count;
      if (const auto* value = std::get_if<double>(&sample.value)) text << *value;
      text << "\n";
    }
  }
  return text.str();
}

TEST(Metrics, CountsByLabels) {
  Metrics metrics;
  metrics.Get(kRows, {"a", "hit"})->Add(3);
  metrics.Get(kRows, {"a", "hit"})->Add();
  metrics.Get(kRows, {"b", "miss"})->Add(2);
  metrics.Get(kAge, {"a"})->Set(1.5);
  metrics.Get(kAge, {"a"})->Add(-0.5);
  EXPECT_EQ(Text(metrics), "age_seconds{a,} 1\nrows_total{a,hit,} 4\nrows_total{b,miss,} 2\n");
}

TEST(Metrics, ShowNothingThatNobodySets) { EXPECT_EQ(Text(Metrics()), ""); }

TEST(Metrics, ForgetTablesThatAreGone) {
  Metrics metrics;
  const auto held = metrics.Get(kRows, {"a", "hit"});
  held->Add(3);
  metrics.Get(kRows, {"b", "hit"})->Add(1);
  metrics.Get(kAge, {"a"})->Set(7);
  metrics.Get(kTime)->Observe(seconds(1));
  metrics.Forget("table", "a");
  metrics.Forget("result", "a");
  held->Add(1);  // of a read that was under way
  EXPECT_EQ(Text(metrics), "rows_total{b,hit,} 1\ntime_seconds{} \n");
  // A table of the same name begins anew.
  metrics.Get(kRows, {"a", "hit"})->Add(5);
  EXPECT_EQ(Text(metrics), "rows_total{a,hit,} 5\nrows_total{b,hit,} 1\ntime_seconds{} \n");
}

TEST(Metrics, AskSourcesAtEveryReading) {
  Metrics metrics;
  double rows = 1;
  metrics.Get(kAge, {"a"})->Set(1);
  metrics.AddSource([&](MetricReadings* out) { out->Add(kAge, {"b"}, rows); });
  EXPECT_EQ(Text(metrics), "age_seconds{a,} 1\nage_seconds{b,} 1\n");
  rows = 2;
  EXPECT_EQ(Text(metrics), "age_seconds{a,} 1\nage_seconds{b,} 2\n");
}

TEST(Metrics, PutDurationsIntoTheBucketWhoseBoundTheyDoNotPass) {
  DurationHistogram histogram;
  histogram.Observe(nanoseconds(-5));  // a clock that went back
  histogram.Observe(microseconds(50));
  histogram.Observe(nanoseconds(50'001));
  histogram.Observe(seconds(10));
  histogram.Observe(seconds(11));
  const auto reading = histogram.Read();
  EXPECT_EQ(reading.counts[0], 2);
  EXPECT_EQ(reading.counts[1], 1);
  EXPECT_EQ(reading.counts[16], 1);
  EXPECT_EQ(reading.counts[17], 1);
  EXPECT_NEAR(reading.sum_seconds, 21.000100001, 1e-9);
}

TEST(Metrics, LoseNothingWhenManyThreadsCount) {
  Metrics metrics;
  constexpr int kThreads = 12;
  constexpr int kRounds = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      const auto time = metrics.Get(kTime);
      const auto age = metrics.Get(kAge, {"a"});
      for (int i = 0; i < kRounds; ++i) {
        if (i % 100 == 0) metrics.Get(kRows, {"a", "hit"})->Add(100);
        time->Observe(nanoseconds(1));
        age->Add(1);
        age->Add(-1);
        if (i % 1000 == 0) metrics.Forget("table", "b");
        if (i % 5000 == 0) metrics.Read();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.Get(kRows, {"a", "hit"})->Value(), kThreads * kRounds);
  EXPECT_EQ(metrics.Get(kTime)->Read().counts[0], kThreads * kRounds);
  EXPECT_EQ(metrics.Get(kAge, {"a"})->Value(), 0);
}

// The manual has one row for each definition, with its labels: "| `name{table,result}` | ...".
TEST(Metrics, StandInTheManual) {
  const std::string source = FLETCHING_SOURCE_DIR;
  std::ifstream names(source + "/src/base/metric_names.h");
  std::ifstream manual(source + "/docs/operations.md");
  std::stringstream code;
  std::stringstream page;
  code << names.rdbuf();
  page << manual.rdbuf();
  const std::string text = code.str();
  const std::string begin = "inline constexpr MetricDefinition<";
  int count = 0;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    std::vector<std::string> words;
    const size_t end = text.find("};", at);
    for (size_t quote = text.find('"', at); quote < end; quote = text.find('"', quote + 1)) {
      const size_t close = text.find('"', quote + 1);
      words.push_back(text.substr(quote + 1, close - quote - 1));
      quote = close;
    }
    ASSERT_GE(words.size(), 2u);
    std::string row = "| `" + words[0];
    for (size_t i = 2; i < words.size(); ++i) row += (i == 2 ? "{" : ",") + words[i];
    row += words.size() > 2 ? "}` |" : "` |";
    EXPECT_NE(page.str().find(row), std::string::npos) << row;
    ++count;
  }
  EXPECT_GT(count, 20);
}

}  // namespace
}  // namespace fletching
