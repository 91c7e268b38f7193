// What readers notice while all rows of a table are replaced, and while a table is compacted.
//
// Open loop: reads are sent at fixed times, half as many a second as one reader manages without a
// pause, and their latency counts from the time they should have been sent, so that a stall is paid
// by every read that waits behind it.
//
//   swap_bench                 10 M rows, five swaps, 100,000 reads on each side; about two minutes
//   swap_bench --smoke
#include <atomic>
#include <chrono>
#include <filesystem>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include "base/thread_priority.h"
#include "workload.h"

namespace fletching::bench {
namespace {

namespace fs = std::filesystem;
using yardstick::Flags;
using yardstick::JsonLine;
using yardstick::NowNanos;
using yardstick::Random;
using yardstick::Summarise;

constexpr int64_t kColumns = 10;
constexpr int64_t kKeyBytes = 14;
constexpr int64_t kKeys = 1'000;

struct Settings {
  int64_t rows, reads, swaps, parts;
  std::string dir;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke"});
  const bool smoke = flags.Switch("smoke", "tiny sizes: shows that it works, measures nothing");
  Settings s;
  s.rows = flags.Integer("rows", smoke ? 20'000 : 10'000'000, 1, "rows in the table");
  s.reads = flags.Integer("reads", smoke ? 200 : 100'000, 1, "reads on each side, at least");
  s.swaps = flags.Integer("swaps", smoke ? 2 : 5, 1, "generations that take each other's place");
  s.parts = flags.Integer("parts", 1, 1, "segments of a generation");
  s.dir = flags.Text("dir", (fs::temp_directory_path() / "fletching-swap-bench").string(),
                     "data folder; emptied before and after");
  flags.Done();
  return s;
}

class Reader {
 public:
  Reader(Engine* engine, int64_t rows) : engine_(*engine), random_(7) {
    for (int i = 0; i < 64; ++i) {
      std::vector<uint64_t> numbers(kKeys);
      for (uint64_t& number : numbers) number = random_.Below(static_cast<uint64_t>(rows));
      keys_.push_back(KeyArray(numbers, kKeyBytes));
    }
  }

  void Once() {
    const auto result =
        Must(engine_.Read({.table = "bench", .keys = {keys_[next_++ % keys_.size()]}}));
    if (result.found_count != kKeys) yardstick::Fail("a key is missing");
  }

  // Nanoseconds of one read without a pause, the median of many.
  int64_t PeakNanos(int64_t reads) {
    std::vector<int64_t> taken;
    for (int64_t i = 0; i < reads; ++i) {
      const int64_t start = NowNanos();
      Once();
      taken.push_back(NowNanos() - start);
    }
    return static_cast<int64_t>(Summarise(taken).p50 * 1000);
  }

  // Latencies from the intended times of sending, until `is_over` and at least `reads`.
  template <typename IsOver>
  std::vector<int64_t> OpenLoop(int64_t period_ns, int64_t reads, const IsOver& is_over) {
    std::vector<int64_t> latencies;
    const int64_t start = NowNanos();
    for (int64_t i = 0; i < reads || !is_over(); ++i) {
      const int64_t due = start + i * period_ns;
      while (NowNanos() < due) std::this_thread::yield();
      Once();
      latencies.push_back(NowNanos() - due);
    }
    return latencies;
  }

 private:
  const Engine& engine_;
  Random random_;
  std::vector<std::shared_ptr<arrow::Array>> keys_;
  size_t next_ = 0;
};

arrow::RecordBatchVector AllRows(int64_t rows) {
  arrow::RecordBatchVector batches;
  for (int64_t first = 0; first < rows; first += kBatchRows) {
    batches.push_back(MakeRows(static_cast<uint64_t>(first), std::min(kBatchRows, rows - first),
                               kColumns, kKeyBytes));
  }
  return batches;
}

void Report(JsonLine* line, const char* name, const std::vector<int64_t>& latencies,
            double quiet_p99) {
  const auto summary = Summarise(latencies);
  const double ratio = quiet_p99 == 0 ? 1 : summary.p99 / quiet_p99;
  std::printf("%-16s %8zu reads  p50 %.1f us  p99 %.1f us", name, latencies.size(), summary.p50,
              summary.p99);
  if (quiet_p99 > 0)
    std::printf("  %.2f x the quiet p99; bar 2 %s", ratio, ratio <= 2 ? "ok" : "MISSED");
  std::printf("\n");
  line->Add((std::string(name) + "_p50_us").c_str(), summary.p50)
      .Add((std::string(name) + "_p99_us").c_str(), summary.p99)
      .Add((std::string(name) + "_ratio").c_str(), ratio);
}

int Main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  fs::remove_all(s.dir);
  const auto engine = Must(Engine::Open({.data_dir = s.dir}));
  const auto batches = AllRows(s.rows);
  const auto load = [&](int64_t number) {
    ReplaceRequest request{.table = "bench", .generation = "g" + std::to_string(number)};
    request.schema = FloatSchema(kColumns);
    request.segment_count = static_cast<int32_t>(s.parts);
    const auto reader = Must(arrow::RecordBatchReader::Make(batches));
    Must(engine->Replace(request, reader.get()).status());
  };
  load(0);
  Reader reader(engine.get(), s.rows);
  reader.PeakNanos(s.reads / 10 + 100);  // warm
  const int64_t period = 2 * reader.PeakNanos(s.reads / 10 + 100);
  JsonLine line;
  line.Add("bench", "swap").Add("rows", s.rows).Add("period_ns", period);

  const auto quiet = reader.OpenLoop(period, s.reads, [] { return true; });
  const double quiet_p99 = Summarise(quiet).p99;
  Report(&line, "quiet", quiet, 0);

  std::atomic<bool> is_over{false};
  std::thread loader([&] {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 10);  // as the puller's thread
    for (int64_t i = 1; i <= s.swaps; ++i) load(i);
    is_over = true;
  });
  const auto during = reader.OpenLoop(period, s.reads, [&] { return is_over.load(); });
  loader.join();
  Report(&line, "while_swapping", during, quiet_p99);

  is_over = false;
  std::thread compactor([&] {
    const BackgroundThread background;
    Must(engine->Compact("bench"));
    is_over = true;
  });
  const auto compacting = reader.OpenLoop(period, s.reads, [&] { return is_over.load(); });
  compactor.join();
  Report(&line, "while_compacting", compacting, quiet_p99);
  line.Print();
  Must(engine->Close());
  fs::remove_all(s.dir);
  return 0;
}

}  // namespace
}  // namespace fletching::bench

int main(int argc, char** argv) { return fletching::bench::Main(argc, argv); }
