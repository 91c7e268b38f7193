// What readers notice while all rows of a table are replaced, and while a table is compacted.
//
// Open loop: reads are sent at fixed times, half as many a second as one reader manages without a
// pause, and their latency counts from the time they should have been sent, so that a stall is paid
// by every read that waits behind it. The same reads beside a thread that only copies memory show
// what is the machine's share.
//
//   swap_bench                 10 M rows, five swaps, 100,000 reads on each side; about two minutes
//   swap_bench --smoke
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
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
  int64_t rows, reads, parts;
  std::string dir;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke"});
  const bool smoke = flags.Switch("smoke", "tiny sizes: shows that it works, measures nothing");
  Settings s;
  s.rows = flags.Integer("rows", smoke ? 20'000 : 10'000'000, 1, "rows in the table");
  s.reads = flags.Integer("reads", smoke ? 200 : 100'000, 1, "reads on each side, at least");
  s.parts = flags.Integer("parts", 1, 1, "segments of a generation");
  s.dir = flags.Text("dir", (fs::temp_directory_path() / "fletching-swap-bench").string(),
                     "data folder; emptied before and after");
  flags.Done();
  return s;
}

constexpr size_t kSections = 5;  // of each side; of the swapping one, the swaps
using Sections = std::vector<std::vector<int64_t>>;

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

  // Latencies from the intended times of sending, by section: `section` says in which one a read
  // falls, -1 = it is over.
  template <typename Section>
  Sections OpenLoop(int64_t period_ns, const Section& section) {
    Sections latencies(kSections);
    const int64_t start = NowNanos();
    int64_t at = 0;
    for (int64_t i = 0; (at = section(i)) >= 0; ++i) {
      const int64_t due = start + i * period_ns;
      // Sleeping would add the time to wake, yielding leaves the core to whoever loads.
      while (NowNanos() < due) __builtin_ia32_pause();
      Once();
      latencies[static_cast<size_t>(at)].push_back(NowNanos() - due);
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

// A machine that is lent in slices stops for tens of milliseconds now and then, whoever runs on it,
// so the p99 is taken of each section, and their median is compared; the p99 of all reads stands
// beside.
double Report(JsonLine* line, const char* name, const Sections& sections, double quiet_p99) {
  std::vector<double> p99s;
  std::vector<int64_t> all;
  for (const auto& section : sections) {
    p99s.push_back(Summarise(section).p99);
    all.insert(all.end(), section.begin(), section.end());
  }
  std::ranges::sort(p99s);
  const double p99 = p99s[p99s.size() / 2];
  const auto summary = Summarise(all);
  const double ratio = quiet_p99 == 0 ? 1 : p99 / quiet_p99;
  std::printf("%-16s %8zu reads  p50 %.1f us  p99 %.1f us (sections %.0f to %.0f, all %.0f)", name,
              all.size(), summary.p50, p99, p99s.front(), p99s.back(), summary.p99);
  if (quiet_p99 > 0) {
    std::printf("  %.2f x the quiet p99; bar 2 %s", ratio, ratio <= 2 ? "ok" : "MISSED");
  }
  std::printf("\n");
  line->Add((std::string(name) + "_p50_us").c_str(), summary.p50)
      .Add((std::string(name) + "_p99_us").c_str(), p99)
      .Add((std::string(name) + "_p99_all_us").c_str(), summary.p99)
      .Add((std::string(name) + "_ratio").c_str(), ratio);
  return p99;
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

  const int64_t share = s.reads / static_cast<int64_t>(kSections);
  const auto by_count = [&](int64_t i) { return i < s.reads ? i / share : -1; };
  const double quiet_p99 = Report(&line, "quiet", reader.OpenLoop(period, by_count), 0);

  // In the background, as loads and compactions are.
  const auto beside = [&](const auto& work, const auto& section) {
    std::thread other([&] {
      const BackgroundThread background;
      work();
    });
    const Sections latencies = reader.OpenLoop(period, section);
    return std::pair(latencies, std::move(other));
  };
  const auto report = [&](const char* name, auto measured) {
    measured.second.join();
    Report(&line, name, measured.first, quiet_p99);
  };

  std::atomic<bool> is_over{false};
  report("beside_a_copy", beside(
                              [&] {
                                std::vector<char> from(64 << 20, 1), to(64 << 20);
                                while (!is_over) std::memcpy(to.data(), from.data(), to.size());
                              },
                              [&](int64_t i) {
                                is_over = i >= s.reads;
                                return by_count(i);
                              }));

  std::atomic<int64_t> swaps_done{0};
  const auto swaps = static_cast<int64_t>(kSections);
  report("while_swapping", beside(
                               [&] {
                                 for (int64_t i = 1; i <= swaps; ++i) {
                                   load(i);
                                   swaps_done = i;
                                 }
                               },
                               // The last section goes on until there were reads enough.
                               [&](int64_t i) {
                                 const int64_t done = swaps_done;
                                 if (done == swaps && i >= s.reads) return int64_t{-1};
                                 return std::min(done, swaps - 1);
                               }));

  is_over = false;
  report("while_compacting", beside(
                                 [&] {
                                   Must(engine->Compact("bench"));
                                   is_over = true;
                                 },
                                 [&](int64_t i) {
                                   if (is_over && i >= s.reads) return int64_t{-1};
                                   return std::min(i / share, swaps - 1);
                                 }));
  line.Print();
  Must(engine->Close());
  fs::remove_all(s.dir);
  return 0;
}

}  // namespace
}  // namespace fletching::bench

int main(int argc, char** argv) { return fletching::bench::Main(argc, argv); }
