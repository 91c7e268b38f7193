#include "server/metric_sources.h"

#include <cstdio>
#include <dirent.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "fletching/engine.h"

#include "base/metric_names.h"

namespace fletching::server {
namespace {

void ReadTables(const Engine& engine, MetricReadings* out) {
  for (const TableInfo& table : engine.ListTables()) {
    out->Add(metric::kTableHealthy, {table.name}, table.health.ok() ? 1 : 0);
    if (!table.health.ok()) continue;  // nothing else is known of it
    out->Add(metric::kTableRows, {table.name}, static_cast<double>(table.row_count));
    out->Add(metric::kTableSegments, {table.name}, static_cast<double>(table.segment_count));
    out->Add(metric::kTableBytes, {table.name, "disk"}, static_cast<double>(table.disk_bytes));
    out->Add(metric::kTableBytes, {table.name, "memory"}, static_cast<double>(table.memory_bytes));
    if (table.generation.has_value()) {
      out->Add(metric::kTableLastLoad, {table.name},
               static_cast<double>(table.generation->loaded_time_us) / 1e6);
    }
  }
}

void ReadMemoryBudget(const Engine& engine, MetricReadings* out) {
  const MemoryUsage usage = engine.GetMemoryUsage();
  if (usage.budget_bytes == 0) return;
  const auto add = [&](const char* part, int64_t bytes) {
    out->Add(metric::kBudgetBytes, {part}, static_cast<double>(bytes));
  };
  add("budget", usage.budget_bytes);
  add("index", usage.index_bytes);
  add("mapped_rows", usage.mapped_row_bytes);
  add("row_cache", usage.row_cache_bytes);
  add("cold_rows", usage.cold_row_bytes);
}

void ReadDisk(const std::string& data_dir, MetricReadings* out) {
  struct statvfs disk = {};
  if (statvfs(data_dir.c_str(), &disk) != 0) return;
  const auto block = static_cast<double>(disk.f_frsize);
  out->Add(metric::kDiskAvailable, {}, static_cast<double>(disk.f_bavail) * block);
  out->Add(metric::kDiskSize, {}, static_cast<double>(disk.f_blocks) * block);
}

// When the system booted, in seconds since 1970.
std::optional<double> BootSeconds() {
  std::ifstream file("/proc/stat");
  std::string word;
  double seconds = 0;
  while (file >> word) {
    if (word == "btime" && file >> seconds) return seconds;
  }
  return std::nullopt;
}

// /proc/self/stat: numbers after the name in parentheses, which may hold spaces.
void ReadStat(std::optional<double> boot_seconds, MetricReadings* out) {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return;
  std::istringstream rest(text.substr(end + 1));
  std::string state;
  rest >> state;  // the third field
  double fields[25] = {};
  for (int i = 4; i <= 24; ++i) rest >> fields[i];
  if (!rest) return;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  out->Add(metric::kProcessCpu, {}, (fields[14] + fields[15]) / ticks);
  out->Add(metric::kProcessVirtual, {}, fields[23]);
  out->Add(metric::kProcessResident, {}, fields[24] * static_cast<double>(sysconf(_SC_PAGESIZE)));
  if (boot_seconds) out->Add(metric::kProcessStart, {}, *boot_seconds + fields[22] / ticks);
}

void ReadFiles(MetricReadings* out) {
  if (DIR* folder = opendir("/proc/self/fd")) {
    int count = -3;  // ".", ".." and the folder itself
    while (readdir(folder) != nullptr) ++count;
    closedir(folder);
    out->Add(metric::kProcessOpenFds, {}, count);
  }
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out->Add(metric::kProcessMaxFds, {}, static_cast<double>(limit.rlim_cur));
  }
}

}  // namespace

void AddMetricSources(const Engine* engine, const std::string& data_dir, Metrics* metrics) {
  metrics->Get(metric::kBuildInfo, {FLETCHING_VERSION})->Set(1);
  metrics->AddSource([engine](MetricReadings* out) { ReadTables(*engine, out); });
  metrics->AddSource([engine](MetricReadings* out) { ReadMemoryBudget(*engine, out); });
  metrics->AddSource([data_dir](MetricReadings* out) { ReadDisk(data_dir, out); });
  metrics->AddSource([boot = BootSeconds()](MetricReadings* out) {
    ReadStat(boot, out);
    ReadFiles(out);
  });
}

}  // namespace fletching::server
