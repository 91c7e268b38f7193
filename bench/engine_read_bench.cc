// The engine beside the bare loop: loads the same rows into both, lets them take turns at the same
// keys, compares every value, and prints ratios of one run. Also: load rate, bytes on disk, private
// memory while loading, time to reopen.
//
//   engine_read_bench                                          10 M rows, 1,000 keys, 10 columns
//   engine_read_bench --rows=1000000 --columns-in-row=500      10 random of 500 columns
//   engine_read_bench --hit-ratio=0                            misses
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sys/resource.h>
#include <thread>

#include "workload.h"
#include "yardstick/bare_loop.h"

namespace fletching::bench {
namespace {

namespace fs = std::filesystem;
using yardstick::BareReader;
using yardstick::BareTable;
using yardstick::Flags;
using yardstick::JsonLine;
using yardstick::NowNanos;
using yardstick::Random;
using yardstick::Shape;
using yardstick::Summarise;

struct Settings {
  int64_t rows, keys, reads, columns_in_row, columns_read, key_bytes, seed;
  double hit_ratio;
  std::string dir;
  bool keep;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke", "keep"});
  const bool smoke = flags.Switch("smoke", "tiny sizes: shows that it works, measures nothing");
  Settings s;
  s.rows = flags.Integer("rows", smoke ? 20'000 : 10'000'000, 1, "rows in the table");
  s.keys = flags.Integer("keys", 1'000, 1, "keys in one read");
  s.reads = flags.Integer("reads", smoke ? 50 : 3'000, 1, "timed reads of each");
  s.columns_in_row = flags.Integer("columns-in-row", 10, 1, "float32 columns of a row");
  s.columns_read = flags.Integer("columns-read", 10, 1, "of which this many are read");
  s.key_bytes = flags.Integer("key-bytes", 14, 6, "bytes of a key");
  s.seed = flags.Integer("seed", 1, 0, "seed of keys and columns");
  s.hit_ratio = flags.Fraction("hit-ratio", 1.0, "part of the keys that the table holds");
  s.dir = flags.Text("dir", (fs::temp_directory_path() / "fletching-bench").string(),
                     "data folder; emptied before and after");
  s.keep = flags.Switch("keep", "leave the data folder, and use it if it is there");
  flags.Done();
  return s;
}

int64_t AnonymousKib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  int64_t kib = 0;
  while (status >> word) {
    if (word == "RssAnon:") status >> kib;
  }
  return kib;
}

// Highest anonymous memory of the process while it lives, above that at its start.
class MemoryWatch {
 public:
  MemoryWatch() : before_kib_(AnonymousKib()), thread_([this] { Watch(); }) {}
  ~MemoryWatch() { Stop(); }
  int64_t Stop() {
    is_stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return peak_kib_ - before_kib_;
  }

 private:
  void Watch() {
    while (!is_stopping_) {
      peak_kib_ = std::max(peak_kib_, AnonymousKib());
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  const int64_t before_kib_;
  int64_t peak_kib_ = 0;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int64_t DiskBytes(const std::string& dir) {
  int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

// Batches are made beforehand, so that only the engine's work is timed.
void Load(Engine* engine, const Settings& s, JsonLine* line) {
  Must(engine->CreateTable("bench", FloatSchema(s.columns_in_row)));
  arrow::RecordBatchVector batches;
  for (int64_t first = 0; first < s.rows; first += kBatchRows) {
    batches.push_back(MakeRows(static_cast<uint64_t>(first), std::min(kBatchRows, s.rows - first),
                               s.columns_in_row, s.key_bytes));
  }
  const auto reader = Must(arrow::RecordBatchReader::Make(batches));
  MemoryWatch watch;
  const double cpu_before = CpuSeconds();
  const int64_t start = NowNanos();
  Must(engine->Write({.table = "bench"}, reader.get()).status());
  const double seconds = static_cast<double>(NowNanos() - start) / 1e9;
  const double cpu_seconds = CpuSeconds() - cpu_before;
  const int64_t private_kib = watch.Stop();
  const auto rows = static_cast<double>(s.rows);
  line->Add("load_seconds", seconds)
      .Add("load_rows_per_second", rows / seconds)
      .Add("load_rows_per_cpu_second", rows / cpu_seconds)
      .Add("load_private_bytes_per_row", static_cast<double>(private_kib) * 1024 / rows)
      .Add("disk_bytes_per_row", static_cast<double>(DiskBytes(s.dir)) / rows);
  std::printf("load: %.2f s, %.2f M rows/s (%.2f M per core second), %.1f bytes of disk a row\n",
              seconds, rows / seconds / 1e6, rows / cpu_seconds / 1e6,
              static_cast<double>(DiskBytes(s.dir)) / rows);
}

class Duel {
 public:
  Duel(const Settings& s, Engine* engine)
      : s_(s),
        engine_(engine),
        columns_(ChooseColumns()),
        bare_(s.rows, s.key_bytes, s.columns_in_row, 0.6, true),
        random_(static_cast<uint64_t>(s.seed)) {
    std::vector<uint8_t> key(static_cast<size_t>(s.key_bytes));
    for (uint32_t row = 0; row < s.rows; ++row) {
      WriteKey(row, s.key_bytes, key.data());
      bare_.Insert(row, reinterpret_cast<const char*>(key.data()), key.size());
      for (int64_t c = 0; c < s.columns_in_row; ++c) {
        const float value = ValueOf(row, static_cast<uint64_t>(c));
        std::memcpy(bare_.Row(row) + bare_.values_offset + c * 4, &value, 4);
      }
    }
    reader_ = std::make_unique<BareReader>(bare_, columns_, s.keys);
    for (const int64_t column : columns_) names_.push_back(ColumnName(column));
  }

  void Run(JsonLine* line) {
    Warm();
    const Shape shape = reader_->Transposes() ? Shape::kBlocksTransposed : Shape::kBlocks;
    std::vector<int64_t> bare;
    std::vector<int64_t> engine;
    std::vector<int64_t> matrix;
    // Ten reads each in turn: long enough to be warm, short enough to share the weather.
    constexpr int64_t kTurn = 10;
    while (static_cast<int64_t>(engine.size()) < s_.reads) {
      for (int64_t i = 0; i < kTurn; ++i) {
        DrawKeys();
        const yardstick::KeyBatch keys{key_array_->raw_value_offsets(),
                                       reinterpret_cast<const char*>(key_array_->raw_data()),
                                       s_.keys};
        const int64_t start = NowNanos();
        reader_->Read(keys, shape, 24);
        bare.push_back(NowNanos() - start);
      }
      for (int64_t i = 0; i < kTurn; ++i) engine.push_back(TimeEngine());
      for (int64_t i = 0; i < kTurn; ++i) matrix.push_back(TimeMatrix());
    }
    const auto bare_us = Summarise(bare);
    const auto engine_us = Summarise(engine);
    const auto matrix_us = Summarise(matrix);
    const double bare_quiet = yardstick::QuietestP50(bare, 200);
    const double engine_quiet = yardstick::QuietestP50(engine, 200);
    const double matrix_quiet = yardstick::QuietestP50(matrix, 200);
    std::printf("bare loop  p50 %.1f us  p99 %.1f  quietest %.1f\n", bare_us.p50, bare_us.p99,
                bare_quiet);
    std::printf("engine     p50 %.1f us  p99 %.1f  quietest %.1f\n", engine_us.p50, engine_us.p99,
                engine_quiet);
    std::printf("ratio      p50 %.2f x           quietest %.2f x\n", engine_us.p50 / bare_us.p50,
                engine_quiet / bare_quiet);
    std::printf("matrix     p50 %.1f us  p99 %.1f  quietest %.1f: %.2f x\n", matrix_us.p50,
                matrix_us.p99, matrix_quiet, matrix_quiet / bare_quiet);
    line->Add("bare_p50_us", bare_us.p50)
        .Add("engine_p50_us", engine_us.p50)
        .Add("engine_p99_us", engine_us.p99)
        .Add("ratio_p50", engine_us.p50 / bare_us.p50)
        .Add("bare_quietest_us", bare_quiet)
        .Add("engine_quietest_us", engine_quiet)
        .Add("ratio_quietest", engine_quiet / bare_quiet)
        .Add("matrix_p50_us", matrix_us.p50)
        .Add("matrix_quietest_us", matrix_quiet)
        .Add("engine_ns_per_key", engine_us.p50 * 1e3 / static_cast<double>(s_.keys));
  }

 private:
  std::vector<int64_t> ChooseColumns() const {
    std::set<int64_t> chosen;
    Random random(static_cast<uint64_t>(s_.seed) + 77);
    while (std::ssize(chosen) < s_.columns_read) {
      chosen.insert(static_cast<int64_t>(random.Below(static_cast<uint64_t>(s_.columns_in_row))));
    }
    return {chosen.begin(), chosen.end()};
  }

  void DrawKeys() {
    const auto rows = static_cast<uint64_t>(s_.rows);
    const auto hits_per_million = static_cast<uint64_t>(s_.hit_ratio * 1e6 + 0.5);
    numbers_.resize(static_cast<size_t>(s_.keys));
    for (uint64_t& number : numbers_) {
      const bool hit = random_.Below(1'000'000) < hits_per_million;
      number = random_.Below(rows) + (hit ? 0 : rows);
    }
    key_array_ = KeyArray(numbers_, s_.key_bytes);
  }

  int64_t TimeEngine() {
    DrawKeys();
    const ReadRequest request{.table = "bench", .keys = {key_array_}, .columns = names_};
    const int64_t start = NowNanos();
    const auto result = engine_->Read(request);
    const int64_t nanos = NowNanos() - start;
    Check(Must(result));
    return nanos;
  }

  // Into a row-major matrix; keys that are not there become -1, which no value is.
  int64_t TimeMatrix() {
    DrawKeys();
    const auto columns = static_cast<int64_t>(columns_.size());
    matrix_.resize(static_cast<size_t>(s_.keys * columns));
    MatrixRequest request{.table = "bench", .keys = {key_array_}, .columns = names_};
    request.out = {matrix_.data(), MatrixType::kFloat32, s_.keys, columns, columns * 4, 4};
    request.fill = -1;
    const int64_t start = NowNanos();
    const auto result = engine_->ReadMatrix(request);
    const int64_t nanos = NowNanos() - start;
    Must(result.status());
    const auto rows = static_cast<uint64_t>(s_.rows);
    for (size_t i = 0, at = 0; i < numbers_.size(); ++i) {
      for (size_t c = 0; c < columns_.size(); ++c, ++at) {
        const auto column = static_cast<uint64_t>(columns_[c]);
        if (matrix_[at] != (numbers_[i] < rows ? ValueOf(numbers_[i], column) : -1)) {
          yardstick::Fail("wrong cell for key " + std::to_string(numbers_[i]));
        }
      }
    }
    return nanos;
  }

  void Check(const ReadResult& result) const {
    const auto rows = static_cast<uint64_t>(s_.rows);
    for (size_t c = 0; c < columns_.size(); ++c) {
      const auto& values =
          static_cast<const arrow::FloatArray&>(*result.batch->column(static_cast<int>(c)));
      for (size_t i = 0; i < numbers_.size(); ++i) {
        const auto at = static_cast<int64_t>(i);
        const bool is_right =
            numbers_[i] < rows
                ? values.IsValid(at) &&
                      values.Value(at) == ValueOf(numbers_[i], static_cast<uint64_t>(columns_[c]))
                : values.IsNull(at);
        if (!is_right) yardstick::Fail("wrong value for key " + std::to_string(numbers_[i]));
      }
    }
  }

  // Every page of the table touched and every block verified: what "warm" means.
  void Warm() {
    const double hit_ratio = std::exchange(s_.hit_ratio, 1.0);
    const int64_t keys = std::exchange(s_.keys, int64_t{100'000});
    const auto passes = static_cast<int64_t>(12.0 * static_cast<double>(s_.rows) / 100'000) + 1;
    for (int64_t i = 0; i < std::min<int64_t>(passes, 1500); ++i) TimeEngine();
    s_.hit_ratio = hit_ratio;
    s_.keys = keys;
    for (int64_t i = 0; i < 50; ++i) TimeEngine();
  }

  Settings s_;
  Engine* const engine_;
  const std::vector<int64_t> columns_;
  BareTable bare_;
  std::unique_ptr<BareReader> reader_;
  std::vector<std::string> names_;
  Random random_;
  std::vector<uint64_t> numbers_;
  std::shared_ptr<arrow::StringArray> key_array_;
  std::vector<float> matrix_;
};

void Reopen(const Settings& s, JsonLine* line) {
  const auto keys = KeyArray({1, 2, 3}, s.key_bytes);
  const int64_t start = NowNanos();
  auto engine = Must(Engine::Open({.data_dir = s.dir}));
  Must(engine->Read({.table = "bench", .keys = {keys}}).status());
  const double ms = static_cast<double>(NowNanos() - start) / 1e6;
  std::printf("reopen to first read: %.2f ms\n", ms);
  line->Add("reopen_ms", ms);
}

int Main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  JsonLine line;
  line.Add("bench", "engine_read")
      .Add("rows", s.rows)
      .Add("keys", s.keys)
      .Add("columns_in_row", s.columns_in_row)
      .Add("columns_read", s.columns_read)
      .Add("hit_ratio", s.hit_ratio)
      .Add("seed", s.seed);
  const bool is_there = s.keep && fs::exists(s.dir + "/tables");
  if (!is_there) fs::remove_all(s.dir);
  {
    auto engine = Must(Engine::Open({.data_dir = s.dir}));
    if (!is_there) Load(engine.get(), s, &line);
    Must(engine->Compact("bench"));
  }
  Reopen(s, &line);
  {
    auto engine = Must(Engine::Open({.data_dir = s.dir}));
    Duel(s, engine.get()).Run(&line);
  }
  if (!s.keep) fs::remove_all(s.dir);
  line.Print();
  return 0;
}

}  // namespace
}  // namespace fletching::bench

int main(int argc, char** argv) { return fletching::bench::Main(argc, argv); }
