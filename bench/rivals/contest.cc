#include "rivals/contest.h"

#include <barrier>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sys/stat.h>
#include <thread>

namespace fletching::bench {

namespace fs = std::filesystem;
using yardstick::Fail;
using yardstick::NowNanos;

namespace {

constexpr int64_t kWarmKeys = 10'000;
constexpr int64_t kFirstReads = 5;  // of a turn: they bring the store's code and memory back

// Resident memory of the process: its own, and mapped files.
struct Resident {
  int64_t anonymous_bytes = 0, file_bytes = 0;
  int64_t large_page_bytes =
      0;  // of mapped files; how many is the kernel's mood when they are written
};

// The bytes of a line of /proc that counts KiB.
int64_t ReadKib(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  int64_t kib = 0;
  while (file >> word) {
    if (word == name) file >> kib;
  }
  return kib * 1024;
}

Resident ResidentNow() {
  return {ReadKib("/proc/self/status", "RssAnon:"), ReadKib("/proc/self/status", "RssFile:"),
          ReadKib("/proc/self/smaps_rollup", "FilePmdMapped:")};
}

// What the files take of the disk: a file of LMDB is longer than what is in it.
int64_t DiskBytes(const std::string& dir) {
  int64_t bytes = 0;
  if (!fs::exists(dir)) return 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    struct stat status{};
    if (entry.is_regular_file() && stat(entry.path().c_str(), &status) == 0) {
      bytes += status.st_blocks * 512;
    }
  }
  return bytes;
}

bool Holds(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

}  // namespace

struct Contest::Case {
  int64_t keys;
  std::string distribution;
  double miss_ratio;
  std::vector<Series> series;  // of each entrant
};

struct Contest::Entrant {
  const StoreKind* kind = nullptr;
  Setting setting;
  std::unique_ptr<Store> store;
  double load_seconds = 0;
  int64_t disk_bytes = 0, checked_values = 0;
  Resident resident;

  std::string Name() const { return kind->name + " " + setting.name; }
};

void Series::AddRound(std::vector<int64_t> nanos, double keys_per_second) {
  rounds_.push_back({yardstick::Summarise(std::move(nanos)), keys_per_second});
}

void Series::Print(yardstick::JsonLine* line) const {
  const auto by_p50 = [](const Round& a, const Round& b) {
    return a.percentiles.p50 < b.percentiles.p50;
  };
  const auto [quietest, noisiest] = std::minmax_element(rounds_.begin(), rounds_.end(), by_p50);
  line->Add("p50_us", quietest->percentiles.p50)
      .Add("p90_us", quietest->percentiles.p90)
      .Add("p99_us", quietest->percentiles.p99)
      .Add("p50_min_us", quietest->percentiles.p50)
      .Add("p50_max_us", noisiest->percentiles.p50)
      .Add("keys_per_s", quietest->keys_per_second)
      .Add("checked_values", checked_values);
}

Contest::Contest(ContestSettings settings) : settings_(std::move(settings)) {
  kinds_ = {FletchingKind(), BareLoopKind(), RocksdbKind(), LmdbKind()};
  ChooseEntrants();
  if (Holds(settings_.distributions, "zipf")) {
    zipf_ = std::make_unique<const Zipf>(static_cast<uint64_t>(settings_.workload.rows));
  }
}

Contest::~Contest() {
  entrants_.clear();
  std::error_code ignored;  // what is left behind is named by --dir
  for (const std::string& dir : made_) fs::remove_all(dir, ignored);
}

// A store none of whose settings is named takes part with all of them.
void Contest::ChooseEntrants() {
  const bool has_text = settings_.workload.shape.text_count > 0;
  std::vector<std::string> known{"all"};
  for (const std::string& name : settings_.stores) {
    const auto kind = std::find_if(kinds_.begin(), kinds_.end(),
                                   [&](const StoreKind& k) { return k.name == name; });
    if (kind == kinds_.end()) {
      Fail("--store takes fletching, bare_loop, rocksdb and lmdb, got '" + name + "'");
    }
    const bool is_named =
        std::any_of(kind->settings.begin(), kind->settings.end(),
                    [&](const Setting& s) { return Holds(settings_.settings, s.name); });
    for (const Setting& setting : kind->settings) {
      known.push_back(setting.name);
      if (is_named ? !Holds(settings_.settings, setting.name) : setting.only_by_name) continue;
      const bool is_apart = has_text && (setting.needs_equal_rows || setting.is_for_floats_only);
      if (is_apart) {
        std::fprintf(stderr, "left out: %s %s does not suit %s\n", name.c_str(),
                     setting.name.c_str(), settings_.workload.ToString().c_str());
        continue;
      }
      Entrant& entrant = entrants_.emplace_back();
      entrant.kind = &*kind;
      entrant.setting = setting;
    }
  }
  for (const std::string& name : settings_.settings) {
    if (!Holds(known, name)) Fail("no chosen store has a setting '" + name + "'; see --help");
  }
}

std::string Contest::LoadDir(const std::string& store, const std::string& load) const {
  return settings_.dir + "/" + store + "-" + load;
}

// A file beside the folder says that it is complete, and of what.
double Contest::Load(const StoreKind& kind, const std::string& load) {
  const std::string dir = LoadDir(kind.name, load);
  const std::string note_path = dir + ".loaded";
  const std::string wanted = settings_.workload.ToString();
  if (settings_.reuse) {
    std::ifstream note(note_path);
    std::string seconds, held;
    if (std::getline(note, seconds) && std::getline(note, held)) {
      if (held != wanted) {
        Fail(dir + " holds " + held + ", not " + wanted +
             "; run without --reuse, or with another "
             "--dir");
      }
      return std::stod(seconds);
    }
  }
  fs::remove(note_path);
  fs::remove_all(dir);
  fs::create_directories(dir);
  const double seconds = kind.load(settings_.workload, load, dir);
  std::ofstream(note_path) << seconds << "\n" << wanted << "\n";
  std::fprintf(stderr, "loaded %s by %s: %s in %.2f s\n", kind.name.c_str(), load.c_str(),
               wanted.c_str(), seconds);
  if (!settings_.keep && !settings_.load_only) {
    made_.push_back(dir);
    made_.push_back(note_path);
  }
  return seconds;
}

void Contest::Open(Entrant* entrant) {
  OpenOptions options{.workload = settings_.workload,
                      .load_dir = LoadDir(entrant->kind->name, entrant->setting.load),
                      .open_dir = LoadDir(entrant->kind->name, "open-" + entrant->setting.name),
                      .cache_bytes = settings_.cache_bytes};
  fs::remove_all(options.open_dir);
  made_.push_back(options.open_dir);
  if (entrant->kind->load != nullptr) entrant->disk_bytes = DiskBytes(options.load_dir);
  const Resident before = ResidentNow();
  const int64_t start = NowNanos();
  entrant->store = entrant->kind->open(entrant->setting, options);
  if (entrant->kind->load == nullptr) {
    entrant->load_seconds = static_cast<double>(NowNanos() - start) / 1e9;
  }
  Warm(entrant);
  const Resident after = ResidentNow();
  entrant->resident = {std::max<int64_t>(after.anonymous_bytes - before.anonymous_bytes, 0),
                       std::max<int64_t>(after.file_bytes - before.file_bytes, 0),
                       std::max<int64_t>(after.large_page_bytes - before.large_page_bytes, 0)};
}

// Every row is read once and compared: what is read later is warm, and the store is right.
void Contest::Warm(Entrant* entrant) {
  const Workload& workload = settings_.workload;
  const int64_t rows =
      settings_.warm_rows < 0 ? workload.rows : std::min(settings_.warm_rows, workload.rows);
  const auto reader = entrant->store->NewReader(kWarmKeys);
  ReadKeys keys;
  for (int64_t first = 0; first < rows; first += kWarmKeys) {
    keys.rows.resize(static_cast<size_t>(std::min(kWarmKeys, rows - first)));
    std::iota(keys.rows.begin(), keys.rows.end(), static_cast<uint64_t>(first));
    keys.Encode(workload.key_type);
    reader->Prepare(keys);
    reader->Read(keys);
    entrant->checked_values += CheckAnswer(entrant->Name(), workload, keys, reader->Result());
  }
}

KeyDraw Contest::DrawOf(const Case& of, uint64_t seed) const {
  return {settings_.workload, of.distribution == "zipf" ? zipf_.get() : nullptr, of.miss_ratio,
          seed};
}

// Every answer is compared.
void Contest::Play(const Case& of, Entrant* entrant, uint64_t seed, Series* series) {
  const Workload& workload = settings_.workload;
  KeyDraw draw = DrawOf(of, seed);
  const auto reader = entrant->store->NewReader(of.keys);
  ReadKeys keys;
  std::vector<int64_t> nanos;
  for (int64_t i = -kFirstReads; i < settings_.reads; ++i) {
    draw.Draw(of.keys, &keys);
    reader->Prepare(keys);
    const int64_t start = NowNanos();
    reader->Read(keys);
    const int64_t taken = NowNanos() - start;
    series->checked_values += CheckAnswer(entrant->Name(), workload, keys, reader->Result());
    if (i >= 0) nanos.push_back(taken);
  }
  const auto all = static_cast<double>(std::accumulate(nanos.begin(), nanos.end(), int64_t{0}));
  series->AddRound(std::move(nanos), static_cast<double>(of.keys * settings_.reads) * 1e9 / all);
}

// Several threads read at once, without a pause: keys are drawn beforehand, and what is compared is
// each thread's last answer.
void Contest::PlayTogether(const Case& of, Entrant* entrant, uint64_t seed, Series* series) {
  const Workload& workload = settings_.workload;
  const auto threads = static_cast<size_t>(settings_.threads);
  std::barrier gate(static_cast<ptrdiff_t>(threads));
  std::vector<std::vector<int64_t>> nanos(threads);
  std::vector<int64_t> checked(threads, 0), starts(threads), ends(threads);
  const auto play = [&](size_t thread) {
    KeyDraw draw = DrawOf(of, seed + 7919 * thread);
    const auto reader = entrant->store->NewReader(of.keys);
    std::vector<ReadKeys> batches(static_cast<size_t>(settings_.reads));
    for (ReadKeys& keys : batches) draw.Draw(of.keys, &keys);
    gate.arrive_and_wait();
    starts[thread] = NowNanos();
    for (const ReadKeys& keys : batches) {
      reader->Prepare(keys);
      const int64_t start = NowNanos();
      reader->Read(keys);
      nanos[thread].push_back(NowNanos() - start);
    }
    ends[thread] = NowNanos();
    gate.arrive_and_wait();  // what is compared is not read beside others
    checked[thread] = CheckAnswer(entrant->Name(), workload, batches.back(), reader->Result());
  };
  std::vector<std::thread> running;
  for (size_t t = 0; t < threads; ++t) running.emplace_back(play, t);
  for (std::thread& thread : running) thread.join();
  const int64_t taken =
      *std::max_element(ends.begin(), ends.end()) - *std::min_element(starts.begin(), starts.end());
  std::vector<int64_t> all;
  for (const auto& of_thread : nanos) all.insert(all.end(), of_thread.begin(), of_thread.end());
  series->checked_values += std::accumulate(checked.begin(), checked.end(), int64_t{0});
  const auto keys = static_cast<double>(of.keys * settings_.reads * settings_.threads);
  series->AddRound(std::move(all), keys * 1e9 / static_cast<double>(taken));
}

void Contest::Print(const Case& of, const Entrant& entrant, const Series& series) const {
  yardstick::JsonLine line;
  line.Add("store", entrant.kind->name)
      .Add("setting", entrant.setting.name)
      .Add("shape", settings_.workload.shape.name)
      .Add("rows", settings_.workload.rows)
      .Add("keys", of.keys)
      .Add("key_type", settings_.workload.key_type == KeyType::kUtf8 ? "utf8" : "int64")
      .Add("distribution", of.distribution)
      .Add("miss_ratio", of.miss_ratio)
      .Add("threads", settings_.threads);
  series.Print(&line);
  line.Add("disk_bytes", entrant.disk_bytes)
      .Add("memory_bytes", entrant.resident.anonymous_bytes + entrant.resident.file_bytes)
      .Add("private_bytes", entrant.resident.anonymous_bytes)
      .Add("large_page_bytes", entrant.resident.large_page_bytes)
      .Add("load_s", entrant.load_seconds)
      .Add("warmed_values", entrant.checked_values)
      .Add("seed", settings_.seed);
  line.Print();
}

void Contest::Run() {
  std::vector<std::pair<std::string, double>> loads;
  for (Entrant& entrant : entrants_) {
    if (entrant.kind->load == nullptr) continue;
    const std::string dir = LoadDir(entrant.kind->name, entrant.setting.load);
    const auto known = std::find_if(loads.begin(), loads.end(),
                                    [&](const auto& load) { return load.first == dir; });
    entrant.load_seconds =
        known != loads.end() ? known->second : Load(*entrant.kind, entrant.setting.load);
    if (known == loads.end()) loads.emplace_back(dir, entrant.load_seconds);
  }
  if (settings_.load_only) return;
  for (Entrant& entrant : entrants_) Open(&entrant);

  std::vector<Case> cases;
  for (const int64_t keys : settings_.keys) {
    for (const std::string& distribution : settings_.distributions) {
      for (const double miss_ratio : settings_.miss_ratios) {
        cases.push_back({keys, distribution, miss_ratio, std::vector<Series>(entrants_.size())});
      }
    }
  }
  // Keys of their own for every turn: settings that share memory would find each other's in the
  // cache.
  auto seed = static_cast<uint64_t>(settings_.seed);
  for (int64_t round = 0; round < settings_.rounds; ++round) {
    for (Case& of : cases) {
      for (size_t i = 0; i < entrants_.size(); ++i) {
        seed += 1'000'003;
        if (settings_.threads == 1) {
          Play(of, &entrants_[i], seed, &of.series[i]);
        } else {
          PlayTogether(of, &entrants_[i], seed, &of.series[i]);
        }
      }
    }
  }
  for (const Case& of : cases) {
    for (size_t i = 0; i < entrants_.size(); ++i) Print(of, entrants_[i], of.series[i]);
  }
}

}  // namespace fletching::bench
