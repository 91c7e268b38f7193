// Fletching's engine, the bare loop, RocksDB and LMDB, read in one process: the same rows, the same
// keys, in turns. One JSON object a line for each store, setting and kind of read.
//
//   embedded_rivals --rows=1000000                                   everything, at 1,000 keys
//   embedded_rivals --shape=mixed --store=fletching,bare_loop        two of them, another shape
//   embedded_rivals --keys=1,10,100,1000,10000 --miss-ratio=0,0.1,0.98 --distribution=uniform,zipf
//
// Data beyond memory: --load-only first, then the reads under a cap:
//
//   embedded_rivals --store=fletching,rocksdb --setting=direct_reads --load-only --dir=D
//   embedded_rivals --store=rocksdb --setting=direct_reads --reuse --keep --warm-rows=0
//   ...
#include <charconv>
#include <filesystem>

#include "rivals/contest.h"

namespace fletching::bench {
namespace {

using yardstick::Fail;
using yardstick::Flags;

std::vector<std::string> SplitAtCommas(const std::string& flag, const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ',') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  for (const std::string& word : words) {
    if (word.empty()) Fail(flag + " is a list with commas between, got '" + text + "'");
  }
  return words;
}

template <typename Number>
std::vector<Number> ParseNumbers(const std::string& flag, const std::string& text, Number least,
                                 Number most) {
  std::vector<Number> numbers;
  for (const std::string& word : SplitAtCommas(flag, text)) {
    Number number{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || !(number >= least) ||
        !(number <= most)) {
      Fail(flag + " does not take '" + word + "'");
    }
    numbers.push_back(number);
  }
  return numbers;
}

KeyType ParseKeyType(const std::string& text) {
  if (text == "utf8") return KeyType::kUtf8;
  if (text == "int64") return KeyType::kInt64;
  Fail("--key-type is utf8 or int64, got '" + text + "'");
}

ContestSettings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke", "load-only", "keep", "reuse"});
  ContestSettings s;
  const bool smoke = flags.Switch("smoke", "tiny sizes: shows that it works, measures nothing");
  s.stores = SplitAtCommas("--store", flags.Text("store", "fletching,bare_loop,rocksdb,lmdb",
                                                 "list of stores that take turns"));
  s.settings = SplitAtCommas(
      "--setting",
      flags.Text("setting", "all", "list; a store with none of them takes all its own"));
  const std::string shape =
      flags.Text("shape", "floats10", "floats10, floats10of500, floats40, floats100 or mixed");
  s.workload.rows = flags.Integer("rows", smoke ? 3'000 : 1'000'000, 2, "rows in each store");
  s.keys = ParseNumbers<int64_t>(
      "--keys", flags.Text("keys", smoke ? "1,50" : "1000", "list: keys in one read"), 1, 1 << 24);
  s.workload.key_type = ParseKeyType(
      flags.Text("key-type", "utf8", "utf8 ('user:' and nine digits) or int64 (the row's number)"));
  s.distributions =
      SplitAtCommas("--distribution", flags.Text("distribution", smoke ? "uniform,zipf" : "uniform",
                                                 "list of uniform and zipf (exponent 0.99)"));
  s.miss_ratios = ParseNumbers<double>(
      "--miss-ratio",
      flags.Text("miss-ratio", smoke ? "0,0.1" : "0", "list: part of the keys that nobody has"), 0,
      1);
  s.reads = flags.Integer("reads", smoke ? 3 : 200, 1, "timed reads of each in a round");
  s.rounds = flags.Integer("rounds", smoke ? 2 : 5, 1, "rounds; the quietest is shown");
  s.threads = flags.Integer("threads", 1, 1, "threads that read at once");
  s.seed = flags.Integer("seed", 1, 0, "seed of keys and columns");
  s.cache_bytes = flags.Integer("cache-bytes", int64_t{64} << 20, 0,
                                "block cache of settings with direct reads");
  s.warm_rows =
      flags.Integer("warm-rows", -1, -1, "rows read and compared before the first round; -1: all");
  s.dir = flags.Text("dir", (std::filesystem::temp_directory_path() / "fletching-rivals").string(),
                     "folder for the stores' files, each in a folder of its own");
  s.load_only = flags.Switch("load-only", "fill the stores and leave them for --reuse");
  s.keep = flags.Switch("keep", "leave the loaded files");
  s.reuse =
      flags.Switch("reuse", "use files that --keep or --load-only left, load what is missing");
  flags.Done();
  s.workload.shape = ShapeOf(shape, static_cast<uint64_t>(s.seed));
  for (const std::string& distribution : s.distributions) {
    if (distribution != "uniform" && distribution != "zipf") {
      Fail("--distribution takes uniform and zipf, got '" + distribution + "'");
    }
  }
  return s;
}

void PrintSettings() {
  std::printf(
      "Reads rows by key from embedded stores that take turns on the same data; one JSON line for\n"
      "each. p50_us, p90_us, p99_us and keys_per_s are of the round with the least p50; every\n"
      "answer is compared with the formula that made the rows.\n\nSettings of each store:\n");
  for (const StoreKind& kind : {FletchingKind(), BareLoopKind(), RocksdbKind(), LmdbKind()}) {
    std::printf("  %s\n", kind.name.c_str());
    for (const Setting& setting : kind.settings) {
      std::printf("    %-26s %s%s\n", setting.name.c_str(), setting.reason.c_str(),
                  setting.only_by_name ? " (not part of all)" : "");
    }
  }
  std::printf("\n");
}

int Main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--help") PrintSettings();
  }
  Contest(ParseSettings(argc, argv)).Run();
  return 0;
}

}  // namespace
}  // namespace fletching::bench

int main(int argc, char** argv) { return fletching::bench::Main(argc, argv); }
