#include "server/metric_sources.h"

#include <chrono>
#include <cstdlib>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "fletching/engine.h"
#include "fletching/options.h"

#include "base/metrics.h"

namespace fletching::server {
namespace {

std::map<std::string, double> Values(const Metrics& metrics) {
  std::map<std::string, double> values;
  const MetricReadings readings = metrics.Read();
  for (const auto& [name, family] : readings.families()) {
    for (const MetricSample& sample : family.samples) {
      if (const auto* value = std::get_if<double>(&sample.value))
        values[std::string(name)] = *value;
    }
  }
  return values;
}

TEST(MetricSources, TellOfDiskAndProcess) {
  std::string folder = testing::TempDir() + "/sources_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  Metrics metrics;
  const auto engine = *Engine::Open({.data_dir = folder, .metrics = &metrics});
  AddMetricSources(engine.get(), folder, &metrics);
  const auto values = Values(metrics);
  EXPECT_EQ(values.at("fletching_build_info"), 1);
  EXPECT_GT(values.at("fletching_disk_available_bytes"), 0);
  EXPECT_GE(values.at("fletching_disk_size_bytes"), values.at("fletching_disk_available_bytes"));
  EXPECT_GE(values.at("process_cpu_seconds_total"), 0);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(values.at("process_virtual_memory_bytes"), values.at("process_resident_memory_bytes"));
  EXPECT_GT(values.at("process_open_fds"), 2);
  EXPECT_GT(values.at("process_max_fds"), values.at("process_open_fds"));
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  // In this process's life, give or take what a clock that was set since booting is off.
  EXPECT_LT(values.at("process_start_time_seconds"), now + 60);
  EXPECT_GT(values.at("process_start_time_seconds"), now - 3600);
}

}  // namespace
}  // namespace fletching::server
