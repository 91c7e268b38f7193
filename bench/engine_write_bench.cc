// Durable writes of the engine beside their floor, in one run:
//   - one write of 1,000 rows beside append + fdatasync of the same bytes, in turns;
//   - 64 writers of one row each beside one writer;
//   - bytes on disk of 500 columns filled to 1 %, beyond a table of the keys alone.
#include <atomic>
#include <fcntl.h>
#include <filesystem>
#include <thread>
#include <unistd.h>

#include "workload.h"
#include "yardstick/measure.h"

namespace fletching::bench {
namespace {

namespace fs = std::filesystem;
using yardstick::Fail;
using yardstick::Flags;
using yardstick::JsonLine;
using yardstick::NowNanos;
using yardstick::Random;
using yardstick::Summarise;

struct Settings {
  int64_t rows, tries, writers, seconds, sparse_rows, sparse_columns, seed;
  std::string dir;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke"});
  const bool smoke = flags.Switch("smoke", "tiny sizes: shows that it works, measures nothing");
  Settings s;
  s.rows = flags.Integer("rows", 1'000, 1, "rows of one durable write");
  s.tries = flags.Integer("tries", smoke ? 20 : 1'000, 1, "writes timed");
  s.writers = flags.Integer("writers", 64, 1, "concurrent writers of one row each");
  s.seconds = flags.Integer("seconds", smoke ? 0 : 4, 0, "of each writers' run");
  s.sparse_rows = flags.Integer("sparse-rows", smoke ? 30'000 : 300'000, 1, "rows of that table");
  s.sparse_columns = flags.Integer("sparse-columns", smoke ? 50 : 500, 1, "its float32 columns");
  s.seed = flags.Integer("seed", 1, 0, "seed");
  s.dir = flags.Text("dir", (fs::temp_directory_path() / "fletching-write-bench").string(),
                     "data folder; emptied before and after");
  flags.Done();
  return s;
}

std::shared_ptr<arrow::RecordBatchReader> OneBatch(std::shared_ptr<arrow::RecordBatch> batch) {
  return Must(arrow::RecordBatchReader::Make({std::move(batch)}));
}

// append + fdatasync of the same bytes to a growing file: what any log must pay.
class Floor {
 public:
  Floor(const std::string& path, size_t bytes) : bytes_(bytes, 'x') {
    file_ = ::open(path.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (file_ < 0) Fail("cannot open " + path);
  }
  ~Floor() { ::close(file_); }
  int64_t Time() {
    const int64_t start = NowNanos();
    if (::write(file_, bytes_.data(), bytes_.size()) != std::ssize(bytes_)) Fail("short write");
    if (::fdatasync(file_) != 0) Fail("fdatasync failed");
    return NowNanos() - start;
  }

 private:
  std::string bytes_;
  int file_ = -1;
};

void DurableWrites(const Settings& s, JsonLine* line) {
  auto engine = Must(Engine::Open({.data_dir = s.dir + "/durable"}));
  Must(engine->CreateTable("bench", FloatSchema(10)));
  Floor floor(s.dir + "/floor", static_cast<size_t>(s.rows) * 54);
  std::vector<int64_t> floors;
  std::vector<int64_t> writes;
  for (int64_t i = 0; i < s.tries; ++i) {
    floors.push_back(floor.Time());
    auto rows = OneBatch(MakeRows(static_cast<uint64_t>(i * s.rows), s.rows, 10, 14));
    const int64_t start = NowNanos();
    Must(engine->Write({.table = "bench"}, rows.get()).status());
    writes.push_back(NowNanos() - start);
  }
  const auto floor_us = Summarise(floors);
  const auto write_us = Summarise(writes);
  std::printf("durable write of %lld rows: p50 %.1f us; floor %.1f us; ratio %.2f\n",
              static_cast<long long>(s.rows), write_us.p50, floor_us.p50,
              write_us.p50 / floor_us.p50);
  line->Add("floor_p50_us", floor_us.p50)
      .Add("write_p50_us", write_us.p50)
      .Add("write_p99_us", write_us.p99)
      .Add("write_ratio", write_us.p50 / floor_us.p50);
}

double RowsPerSecond(Engine* engine, int64_t writers, double seconds) {
  std::atomic<int64_t> written{0};
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  // Rows are made beforehand: the clients' work is not the engine's.
  constexpr uint64_t kRowsMade = 500;
  std::vector<std::vector<std::shared_ptr<arrow::RecordBatch>>> rows(static_cast<size_t>(writers));
  for (size_t w = 0; w < rows.size(); ++w) {
    for (uint64_t i = 0; i < kRowsMade; ++i) rows[w].push_back(MakeRows(w * 1000 + i, 1, 10, 14));
  }
  const int64_t start = NowNanos();
  for (const auto& own_rows : rows) {
    threads.emplace_back([&, engine] {
      for (size_t i = 0; !is_over || i == 0; ++i) {
        auto row = OneBatch(own_rows[i % kRowsMade]);
        Must(engine->Write({.table = "bench"}, row.get()).status());
        ++written;
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(written) * 1e9 / static_cast<double>(NowNanos() - start);
}

void GroupedWrites(const Settings& s, JsonLine* line) {
  auto engine = Must(Engine::Open({.data_dir = s.dir + "/grouped"}));
  Must(engine->CreateTable("bench", FloatSchema(10)));
  const auto seconds = static_cast<double>(s.seconds);
  const double one = RowsPerSecond(engine.get(), 1, seconds / 2);
  const double many = RowsPerSecond(engine.get(), s.writers, seconds);
  const double one_again = RowsPerSecond(engine.get(), 1, seconds / 2);
  const double alone = std::max(one, one_again);
  std::printf("one writer %.0f rows/s, %lld writers %.0f rows/s: %.1f x\n", alone,
              static_cast<long long>(s.writers), many, many / alone);
  line->Add("one_writer_rows_per_second", alone)
      .Add("many_writers_rows_per_second", many)
      .Add("grouped_commit_ratio", many / alone);
}

int64_t SegmentBytes(Engine* engine) {
  Must(engine->Compact("bench"));
  return Must(engine->GetTable("bench")).disk_bytes;
}

// Column c of row r is filled when a hash of both says so: 1 % of them.
bool IsFilled(uint64_t row, uint64_t column) { return Random(row * 1000 + column).Below(100) == 0; }

int64_t BytesOfTable(const Settings& s, const std::string& name, int64_t columns,
                     int64_t* value_count) {
  auto engine = Must(Engine::Open({.data_dir = s.dir + "/" + name}));
  Must(engine->CreateTable("bench", FloatSchema(columns)));
  arrow::RecordBatchVector batches;
  for (int64_t first = 0; first < s.sparse_rows; first += 8192) {
    const int64_t count = std::min<int64_t>(8192, s.sparse_rows - first);
    auto batch = MakeRows(static_cast<uint64_t>(first), count, 0, 14);
    std::vector<std::shared_ptr<arrow::Field>> fields = batch->schema()->fields();
    std::vector<std::shared_ptr<arrow::Array>> arrays = batch->columns();
    for (int64_t c = 0; c < columns; ++c) {
      arrow::FloatBuilder builder;
      for (int64_t r = 0; r < count; ++r) {
        if (IsFilled(static_cast<uint64_t>(first + r), static_cast<uint64_t>(c))) {
          Must(builder.Append(ValueOf(static_cast<uint64_t>(first + r), static_cast<uint64_t>(c))));
          ++*value_count;
        } else {
          Must(builder.AppendNull());
        }
      }
      fields.push_back(arrow::field(ColumnName(c), arrow::float32()));
      arrays.push_back(Must(builder.Finish()));
    }
    batches.push_back(arrow::RecordBatch::Make(arrow::schema(fields), count, arrays));
  }
  auto reader = Must(arrow::RecordBatchReader::Make(batches, batches[0]->schema()));
  Must(engine->Write({.table = "bench"}, reader.get()).status());
  return SegmentBytes(engine.get());
}

void SparseColumns(const Settings& s, JsonLine* line) {
  int64_t value_count = 0;
  int64_t none = 0;
  const int64_t keys_only = BytesOfTable(s, "keys", 0, &none);
  const int64_t sparse = BytesOfTable(s, "sparse", s.sparse_columns, &value_count);
  const double ratio =
      static_cast<double>(sparse - keys_only) / (static_cast<double>(value_count) * (4 + 4));
  std::printf("sparse: %lld values in %.1f MB beyond the keys: %.2f x values x (width + 4)\n",
              static_cast<long long>(value_count), static_cast<double>(sparse - keys_only) / 1e6,
              ratio);
  line->Add("sparse_values", value_count)
      .Add("sparse_bytes", sparse - keys_only)
      .Add("sparse_ratio", ratio);
}

int Main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  fs::remove_all(s.dir);
  fs::create_directories(s.dir);
  JsonLine line;
  line.Add("bench", "engine_write").Add("rows", s.rows).Add("seed", s.seed);
  DurableWrites(s, &line);
  GroupedWrites(s, &line);
  SparseColumns(s, &line);
  fs::remove_all(s.dir);
  line.Print();
  return 0;
}

}  // namespace
}  // namespace fletching::bench

int main(int argc, char** argv) { return fletching::bench::Main(argc, argv); }
