// Measures the bare loop of bare_loop.h: builds the table, sweeps the shapes and prefetch
// distances, then times the best one over many reads, each with a new random set of keys prepared
// outside the timed part. Every value of every read is compared with the formula that made it; a
// hash of all outputs is printed.
//
// Build alone: g++ -std=c++20 -O2 -o bare_loop bare_loop.cc
#include "bare_loop.h"

#include <cmath>
#include <fstream>
#include <set>

namespace {

using namespace yardstick;

struct Settings {
  int64_t rows, keys, reads, columns_in_row, columns_read, key_bytes, seed, sweep_reads;
  double hit_ratio, load;
  bool huge_pages;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke"});
  const bool smoke =
      flags.Switch("smoke", "a small table and few reads: shows that it works, measures nothing");
  Settings s;
  s.rows = flags.Integer("rows", smoke ? 20'000 : 10'000'000, 1, "rows in the table");
  s.keys = flags.Integer("keys", 1'000, 1, "keys in one read");
  s.reads = flags.Integer("reads", smoke ? 50 : 2'000, 1, "timed reads of the best shape");
  s.columns_in_row = flags.Integer("columns-in-row", 10, 1, "float32 columns of a row");
  s.columns_read =
      flags.Integer("columns-read", 10, 1, "of which this many are read, chosen by the seed");
  s.key_bytes = flags.Integer("key-bytes", 14, 6, "bytes of a key: 'user:' and digits");
  s.seed = flags.Integer("seed", 1, 0, "seed of keys and columns");
  s.hit_ratio = flags.Fraction("hit-ratio", 1.0, "part of the keys that the table holds");
  s.load = flags.Fraction("load", 0.6, "filled slots / slots, at most 2/3");
  s.sweep_reads = flags.Integer("sweep-reads", smoke ? 5 : 50, 1,
                                "reads of each shape in each of 8 sweep rounds");
  const std::string pages = flags.Text("pages", "huge", "huge or 4k");
  flags.Done();
  if (pages != "huge" && pages != "4k") Fail("--pages is huge or 4k, got '" + pages + "'");
  s.huge_pages = pages == "huge";
  if (s.columns_read > s.columns_in_row) Fail("--columns-read is more than --columns-in-row");
  if (s.load <= 0 || s.load > 2.0 / 3) Fail("--load must be above 0 and at most 2/3");
  const double digits = std::floor(std::log10(2.0 * static_cast<double>(s.rows))) + 1;
  if (static_cast<double>(s.key_bytes - 5) < digits) {
    Fail("--key-bytes is too short: 'user:' and " + std::to_string(int(digits)) +
         " digits for hits and misses");
  }
  return s;
}

// A value follows from its place, so that a read can be checked without a second copy of the table.
// Exact in float32.
float ValueOf(uint64_t row, uint64_t column) {
  return static_cast<float>(((row * 2654435761u) ^ (column * 40503u)) & 0xFFFFFF);
}

void WriteKey(uint64_t number, int64_t key_bytes, char* out) {
  std::memcpy(out, "user:", 5);
  for (char* digit = out + key_bytes - 1; digit >= out + 5; --digit) {
    *digit = static_cast<char>('0' + number % 10);
    number /= 10;
  }
}

void RefuseWhatDoesNotFit(const BareTable& table) {
  std::ifstream meminfo("/proc/meminfo");
  std::string word;
  for (int64_t kib = 0; meminfo >> word;) {
    if (word != "MemAvailable:") continue;
    meminfo >> kib;
    const int64_t wanted = table.row_count * table.row_bytes + table.SlotBytes();
    if (wanted / 1024 > kib) {
      Fail("the table needs " + std::to_string(wanted >> 20) + " MiB and " +
           std::to_string(kib >> 10) + " MiB are free; try --rows=" +
           std::to_string(table.row_count * (kib / 2) / (wanted / 1024)));
    }
    return;
  }
}

void Fill(BareTable& table, const Settings& s) {
  std::vector<char> key(static_cast<size_t>(s.key_bytes));
  for (uint32_t row = 0; row < s.rows; ++row) {
    WriteKey(row, s.key_bytes, key.data());
    table.Insert(row, key.data(), key.size());
    char* values = table.Row(row) + table.values_offset;
    for (int64_t column = 0; column < s.columns_in_row; ++column) {
      const float value = ValueOf(row, static_cast<uint64_t>(column));
      std::memcpy(values + column * 4, &value, 4);
    }
  }
}

std::vector<int64_t> ChooseColumns(const Settings& s) {
  std::set<int64_t> chosen;
  Random random(static_cast<uint64_t>(s.seed) + 77);
  while (std::ssize(chosen) < s.columns_read) {
    chosen.insert(static_cast<int64_t>(random.Below(static_cast<uint64_t>(s.columns_in_row))));
  }
  return {chosen.begin(), chosen.end()};
}

// KiB of this process in huge pages: what the kernel gave, whatever was asked for.
int64_t HugePageKib() {
  std::ifstream rollup("/proc/self/smaps_rollup");
  std::string word;
  int64_t kib = 0;
  while (rollup >> word) {
    if (word == "AnonHugePages:") rollup >> kib;
  }
  return kib;
}

// One read after another: draws keys, times the read, checks it.
class Driver {
 public:
  Driver(const BareTable& table, const Settings& settings)
      : settings_(settings),
        columns_(ChooseColumns(settings)),
        reader_(table, columns_, settings.keys),
        random_(static_cast<uint64_t>(settings.seed)),
        offsets_(static_cast<size_t>(settings.keys) + 1),
        bytes_(static_cast<size_t>(settings.keys * settings.key_bytes)),
        numbers_(static_cast<size_t>(settings.keys)),
        output_hash_(XXH3_createState()) {
    for (int64_t i = 0; i <= settings.keys; ++i) {
      offsets_[static_cast<size_t>(i)] = static_cast<int32_t>(i * settings.key_bytes);
    }
    XXH3_64bits_reset(output_hash_);
  }

  // Returns the nanoseconds of one read of fresh random keys.
  int64_t TimeOneRead(Shape shape, int64_t distance) {
    DrawKeys();
    const KeyBatch keys{offsets_.data(), bytes_.data(), settings_.keys};
    const int64_t start = NowNanos();
    reader_.Read(keys, shape, distance);
    const int64_t nanos = NowNanos() - start;
    CheckValues();
    return nanos;
  }

  void HashOutputs() {
    for (const float* column : reader_.Outputs()) {
      XXH3_64bits_update(output_hash_, column, static_cast<size_t>(settings_.keys) * 4);
    }
  }

  uint64_t OutputHash() const { return XXH3_64bits_digest(output_hash_); }
  void RestartKeys() { random_ = Random(static_cast<uint64_t>(settings_.seed) + 1); }
  const BareReader& Reader() const { return reader_; }
  const std::vector<int64_t>& Columns() const { return columns_; }

 private:
  void DrawKeys() {
    const uint64_t rows = static_cast<uint64_t>(settings_.rows);
    const uint64_t hits_per_million = static_cast<uint64_t>(settings_.hit_ratio * 1e6 + 0.5);
    for (size_t i = 0; i < numbers_.size(); ++i) {
      const bool hit = random_.Below(1'000'000) < hits_per_million;
      numbers_[i] = random_.Below(rows) + (hit ? 0 : rows);
      WriteKey(numbers_[i], settings_.key_bytes, bytes_.data() + offsets_[i]);
    }
  }

  void CheckValues() const {
    const uint64_t rows = static_cast<uint64_t>(settings_.rows);
    for (size_t c = 0; c < columns_.size(); ++c) {
      const float* output = reader_.Outputs()[c];
      for (size_t i = 0; i < numbers_.size(); ++i) {
        const bool right =
            numbers_[i] < rows
                ? output[i] == ValueOf(numbers_[i], static_cast<uint64_t>(columns_[c]))
                : std::isnan(output[i]);
        if (!right)
          Fail("wrong value in column " + std::to_string(columns_[c]) + " of key " +
               std::to_string(numbers_[i]));
      }
    }
  }

  const Settings& settings_;
  std::vector<int64_t> columns_;
  BareReader reader_;
  Random random_;
  std::vector<int32_t> offsets_;
  std::vector<char> bytes_;
  std::vector<uint64_t> numbers_;  // the number in each key; those from row_count on are in no row
  XXH3_state_t* output_hash_;
};

struct Candidate {
  Shape shape;
  int64_t distance;
  std::vector<int64_t> nanos;
  double quietest_p50 = std::numeric_limits<double>::infinity();
};

// Candidates take turns, so that a noisy second of the machine falls on all of them; each is judged
// by the p50 of its quietest round.
struct SweepResult {
  Candidate best;
  double scatter_quietest_p50;  // of the shapes that copy value by value, as a loop over any
                                // columns must
};

SweepResult Sweep(Driver& driver, const Settings& s) {
  std::vector<Candidate> candidates = {{Shape::kStages, s.keys, {}}};
  for (const int64_t distance : {8, 16, 24, 32, 48, 64, 96, 128, 256}) {
    candidates.push_back({Shape::kRolling, distance, {}});
    candidates.push_back({Shape::kBlocks, distance, {}});
    if (driver.Reader().Transposes())
      candidates.push_back({Shape::kBlocksTransposed, distance, {}});
  }
  for (int round = 0; round < 8; ++round) {
    for (Candidate& candidate : candidates) {
      std::vector<int64_t> nanos;
      for (int64_t i = 0; i < s.sweep_reads; ++i)
        nanos.push_back(driver.TimeOneRead(candidate.shape, candidate.distance));
      candidate.quietest_p50 = std::min(candidate.quietest_p50, Summarise(nanos).p50);
      candidate.nanos.insert(candidate.nanos.end(), nanos.begin(), nanos.end());
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.shape < b.shape; });
  std::printf("%-18s %8s %10s %18s\n", "shape", "distance", "p50 us", "quietest round us");
  for (const Candidate& candidate : candidates) {
    std::printf("%-18s %8lld %10.2f %18.2f\n", Name(candidate.shape),
                static_cast<long long>(candidate.distance), Summarise(candidate.nanos).p50,
                candidate.quietest_p50);
  }
  const auto quieter = [](const Candidate& a, const Candidate& b) {
    return a.quietest_p50 < b.quietest_p50;
  };
  const auto transposed =
      std::find_if(candidates.begin(), candidates.end(),
                   [](const Candidate& c) { return c.shape == Shape::kBlocksTransposed; });
  return {*std::min_element(candidates.begin(), candidates.end(), quieter),
          std::min_element(candidates.begin(), transposed, quieter)->quietest_p50};
}

std::vector<int64_t> Measure(Driver& driver, const Settings& s, const Candidate& best) {
  driver.RestartKeys();  // the sweep must not decide which keys are hashed into the result
  std::vector<int64_t> nanos;
  for (int64_t i = 0; i < s.reads; ++i) {
    nanos.push_back(driver.TimeOneRead(best.shape, best.distance));
    driver.HashOutputs();
  }
  return nanos;
}

std::string ListOf(const std::vector<int64_t>& numbers) {
  std::string text = "[";
  for (const int64_t number : numbers)
    text += (text.size() > 1 ? ", " : "") + std::to_string(number);
  return text + "]";
}

void Report(const Settings& s, const BareTable& table, const Driver& driver,
            const SweepResult& sweep, const std::vector<int64_t>& nanos) {
  const Candidate& best = sweep.best;
  const Percentiles p = Summarise(nanos);
  const double quietest_p50 = QuietestP50(nanos, 200);
  std::printf(
      "best: %s at distance %lld: p50 %.2f us, p90 %.2f, p99 %.2f; quietest 200 reads %.2f; %.1f "
      "ns per key\n",
      Name(best.shape), static_cast<long long>(best.distance), p.p50, p.p90, p.p99, quietest_p50,
      p.p50 * 1e3 / static_cast<double>(s.keys));
  JsonLine()
      .Add("yardstick", "bare_loop")
      .Add("rows", s.rows)
      .Add("keys", s.keys)
      .Add("reads", s.reads)
      .Add("columns_in_row", s.columns_in_row)
      .Add("columns_read", s.columns_read)
      .Raw("columns", ListOf(driver.Columns()))
      .Add("key_bytes", s.key_bytes)
      .Add("row_bytes", table.row_bytes)
      .Add("lines_per_row", driver.Reader().LinesPerRow())
      .Add("index_bytes", table.SlotBytes())
      .Add("load", s.load)
      .Add("hit_ratio", s.hit_ratio)
      .Add("seed", s.seed)
      .Add("pages", s.huge_pages ? "huge" : "4k")
      .Add("huge_page_kib", HugePageKib())
      .Add("shape", Name(best.shape))
      .Add("distance", best.distance)
      .Add(p)
      .Add("quietest_p50_us", quietest_p50)
      .Add("scatter_quietest_p50_us", sweep.scatter_quietest_p50)
      .Add("ns_per_key", p.p50 * 1e3 / static_cast<double>(s.keys))
      .Hash("output_hash", driver.OutputHash())
      .Print();
}

}  // namespace

int main(int argc, char** argv) {
  const Settings settings = ParseSettings(argc, argv);
  BareTable table(settings.rows, settings.key_bytes, settings.columns_in_row, settings.load,
                  settings.huge_pages);
  RefuseWhatDoesNotFit(table);
  const int64_t start = NowNanos();
  Fill(table, settings);
  std::printf(
      "built %lld rows of %lld bytes and %lld MiB of slots in %.1f s, %lld MiB in huge pages\n",
      static_cast<long long>(settings.rows), static_cast<long long>(table.row_bytes),
      static_cast<long long>(table.SlotBytes() >> 20),
      static_cast<double>(NowNanos() - start) / 1e9, static_cast<long long>(HugePageKib() >> 10));
  Driver driver(table, settings);
  const SweepResult sweep = Sweep(driver, settings);
  Report(settings, table, driver, sweep, Measure(driver, settings, sweep.best));
}
