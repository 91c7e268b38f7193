// The Flight door beside a constant one: Arrow's own FlightServerBase that returns a prebuilt batch
// of the same size. A look-up is 1,000 random keys, 10 float32 columns of 10 M rows.
//
//   flight_bench            everything        flight_bench --smoke    tiny sizes, seconds
//
// Both servers are processes of their own (this program with --serve), kept on one core, the client
// on another. In turns: DoGet by a ticket of JSON from ours, DoGet from the constant server, and a
// look-up on one DoExchange stream of ours. Then as many streams at once. Every value is checked
// outside of the timed part.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <arrow/flight/client.h>
#include <arrow/flight/server.h>
#include <arrow/util/key_value_metadata.h>

#include "api/flight/flight_server.h"
#include "workload.h"

namespace fletching::bench {
namespace {

namespace af = arrow::flight;
namespace fs = std::filesystem;
using yardstick::Flags;
using yardstick::JsonLine;
using yardstick::NowNanos;
using yardstick::Random;
using yardstick::Summarise;

constexpr int64_t kColumns = 10;
constexpr int64_t kKeyBytes = 14;
constexpr double kGetRatioMax = 1.3;
constexpr double kExchangeRatioMax = 0.6;
constexpr double kStreamsRatioMin = 0.8;

struct Settings {
  int64_t rows, keys, reads, streams, rounds, seed;
  std::string dir, serve;
  bool pin;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke"});
  const bool smoke = flags.Switch("smoke", "tiny sizes: shows that it works, measures nothing");
  Settings s;
  s.rows = flags.Integer("rows", smoke ? 20'000 : 10'000'000, 1, "rows in the table");
  s.keys = flags.Integer("keys", smoke ? 100 : 1'000, 1, "keys in one look-up");
  s.reads = flags.Integer("reads", smoke ? 20 : 3'000, 10, "timed look-ups of each kind");
  s.streams = flags.Integer("streams", smoke ? 4 : 16, 1, "clients at once in the second part");
  s.rounds = flags.Integer("rounds", smoke ? 1 : 5, 1, "rounds of the second part");
  s.seed = flags.Integer("seed", 1, 0, "seed of the keys");
  s.dir = flags.Text("dir", (fs::temp_directory_path() / "fletching-flight-bench").string(),
                     "data folder; emptied before and after");
  s.pin = flags.Integer("pin", 1, 0, "0: servers and client run on any core") != 0;
  s.serve = flags.Text("serve", "", "what a child process does: ours or constant");
  flags.Done();
  return s;
}

void StayOn(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  sched_setaffinity(0, sizeof(cores), &cores);  // where it is refused, it runs anywhere
}

// ---- servers --------------------------------------------------------------------------------

class ConstantServer final : public af::FlightServerBase {
 public:
  explicit ConstantServer(std::shared_ptr<arrow::RecordBatch> batch) : batch_(std::move(batch)) {}
  Status DoGet(const af::ServerCallContext&, const af::Ticket&,
               std::unique_ptr<af::FlightDataStream>* stream) override {
    ARROW_ASSIGN_OR_RAISE(auto rows, arrow::RecordBatchReader::Make({batch_}));
    *stream = std::make_unique<af::RecordBatchStream>(std::move(rows));
    return Status::OK();
  }
  // The same batch for whatever comes.
  Status DoExchange(const af::ServerCallContext&, std::unique_ptr<af::FlightMessageReader> reader,
                    std::unique_ptr<af::FlightMessageWriter> writer) override {
    ARROW_RETURN_NOT_OK(writer->Begin(batch_->schema()));
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const auto chunk, reader->Next());
      if (chunk.data == nullptr) return Status::OK();
      ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch_));
    }
  }

 private:
  std::shared_ptr<arrow::RecordBatch> batch_;
};

std::unique_ptr<Engine> Load(const Settings& s) {
  fs::remove_all(s.dir);
  auto engine = Must(Engine::Open({.data_dir = s.dir}));
  Must(engine->CreateTable("bench", FloatSchema(kColumns)));
  arrow::RecordBatchVector batches;
  for (int64_t first = 0; first < s.rows; first += kBatchRows) {
    batches.push_back(MakeRows(static_cast<uint64_t>(first), std::min(kBatchRows, s.rows - first),
                               kColumns, kKeyBytes));
  }
  const auto reader = Must(arrow::RecordBatchReader::Make(batches));
  Must(engine->Write({.table = "bench"}, reader.get()).status());
  Must(engine->Compact("bench"));
  return engine;
}

// Says its port on stdout, and serves until its stdin ends.
int Serve(const Settings& s) {
  if (s.pin) StayOn(0);
  const auto serve_until_told = [](int port) {
    std::printf("%d\n", port);
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
  };
  if (s.serve == "ours") {
    const auto engine = Load(s);
    flight::FlightServerOptions options;
    options.port = 0;
    const auto server = Must(flight::FlightServer::Start(engine.get(), options));
    const std::string& address = server->address();
    serve_until_told(std::stoi(address.substr(address.rfind(':') + 1)));
    server->Stop(1'000);
    return 0;
  }
  // The values alone, as an answer has them.
  const auto rows = MakeRows(0, s.keys, kColumns, kKeyBytes);
  ConstantServer server(Must(rows->RemoveColumn(0)));
  Must(server.Init(af::FlightServerOptions(Must(af::Location::ForGrpcTcp("127.0.0.1", 0)))));
  serve_until_told(server.port());
  return 0;
}

class Child {
 public:
  Child(char** argv, const Settings& s, const std::string& what) {
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) yardstick::Fail("no pipes");
    std::vector<std::string> words = {argv[0],
                                      "--serve=" + what,
                                      "--rows=" + std::to_string(s.rows),
                                      "--keys=" + std::to_string(s.keys),
                                      "--dir=" + s.dir,
                                      "--pin=" + std::to_string(s.pin)};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(to[0], 0);
      dup2(from[1], 1);
      for (const int end : {to[0], to[1], from[0], from[1]}) close(end);
      execv("/proc/self/exe", arguments.data());
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    to_ = to[1];
    std::FILE* said = fdopen(from[0], "r");
    if (std::fscanf(said, "%d", &port_) != 1) yardstick::Fail("server '" + what + "' ended");
    std::fclose(said);
  }
  ~Child() {
    close(to_);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  std::unique_ptr<af::FlightClient> Connect() const {
    return Must(af::FlightClient::Connect(Must(af::Location::ForGrpcTcp("127.0.0.1", port_))));
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int port_ = 0;
};

// ---- look-ups -------------------------------------------------------------------------------

// Keys of one look-up in both forms.
struct Keys {
  std::vector<uint64_t> numbers;
  af::Ticket ticket;
  std::shared_ptr<arrow::RecordBatch> batch;
};

std::shared_ptr<arrow::Schema> KeySchema() {
  return arrow::schema({arrow::field("id", arrow::utf8())},
                       arrow::key_value_metadata({"columns"}, {"*"}));
}

Keys Draw(const Settings& s, Random* random) {
  Keys keys;
  for (int64_t i = 0; i < s.keys; ++i) {
    keys.numbers.push_back(random->Below(static_cast<uint64_t>(s.rows)));
  }
  const auto column = KeyArray(keys.numbers, kKeyBytes);
  std::string& text = keys.ticket.ticket;
  text = R"({"table":"bench","keys":[)";
  for (int64_t i = 0; i < s.keys; ++i) {
    text += (i > 0 ? ",\"" : "\"") + column->GetString(i) + '"';
  }
  text += R"(],"columns":[)";
  for (int64_t c = 0; c < kColumns; ++c) {
    text += (c > 0 ? ",\"" : "\"") + ColumnName(c) + '"';
  }
  text += "]}";
  keys.batch = arrow::RecordBatch::Make(KeySchema(), s.keys, {column});
  return keys;
}

void Check(const arrow::RecordBatch& batch, const Keys& keys, uint64_t* hash) {
  if (batch.num_rows() != std::ssize(keys.numbers) || batch.num_columns() != kColumns) {
    yardstick::Fail("an answer of the wrong shape");
  }
  for (int c = 0; c < kColumns; ++c) {
    const auto& values = static_cast<const arrow::FloatArray&>(*batch.column(c));
    for (size_t i = 0; i < keys.numbers.size(); ++i) {
      const float value = values.Value(static_cast<int64_t>(i));
      if (value != ValueOf(keys.numbers[i], static_cast<uint64_t>(c))) {
        yardstick::Fail("wrong value for key " + std::to_string(keys.numbers[i]));
      }
      *hash = *hash * 0x100000001B3ull + static_cast<uint64_t>(value);
    }
  }
}

std::shared_ptr<arrow::RecordBatch> Get(af::FlightClient* client, const af::Ticket& ticket) {
  const auto reader = Must(client->DoGet(ticket));
  auto batch = Must(reader->Next()).data;
  if (Must(reader->Next()).data != nullptr) yardstick::Fail("a second batch");
  return batch;
}

class Exchange {
 public:
  explicit Exchange(af::FlightClient* client)
      : stream_(Must(client->DoExchange(af::FlightDescriptor::Path({"bench"})))) {
    Must(stream_.writer->Begin(KeySchema()));
  }
  ~Exchange() { (void)stream_.writer->Close(); }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  std::shared_ptr<arrow::RecordBatch> Ask(const arrow::RecordBatch& keys) {
    Must(stream_.writer->WriteRecordBatch(keys));
    return Must(stream_.reader->Next()).data;
  }

 private:
  af::FlightClient::DoExchangeResult stream_;
};

// ---- measurements ---------------------------------------------------------------------------

const char* Verdict(bool is_good) { return is_good ? "ok" : "MISSED"; }

void OneStream(const Settings& s, const Child& ours, const Child& constant, JsonLine* line) {
  constexpr int64_t kTurn = 10;
  const auto our_client = ours.Connect();
  const auto constant_client = constant.Connect();
  Exchange exchange(our_client.get());
  Random random(static_cast<uint64_t>(s.seed));
  Exchange constant_exchange(constant_client.get());
  std::vector<int64_t> get, floor, ask, ask_floor;
  uint64_t hash = 0;
  const auto timed = [](std::vector<int64_t>* out, const auto& call) {
    const int64_t start = NowNanos();
    auto batch = call();
    out->push_back(NowNanos() - start);
    return batch;
  };
  // Every block of the table looked at once: what "warm" means.
  const int64_t warm_reads = std::min<int64_t>(12 * s.rows / s.keys + 50, 120'000);
  for (int64_t i = 0; i < warm_reads; ++i) exchange.Ask(*Draw(s, &random).batch);
  while (std::ssize(get) < s.reads) {
    for (int64_t i = 0; i < kTurn; ++i) {
      const Keys keys = Draw(s, &random);
      Check(*timed(&get, [&] { return Get(our_client.get(), keys.ticket); }), keys, &hash);
    }
    for (int64_t i = 0; i < kTurn; ++i) {
      const Keys keys = Draw(s, &random);
      timed(&floor, [&] { return Get(constant_client.get(), keys.ticket); });
    }
    for (int64_t i = 0; i < kTurn; ++i) {
      const Keys keys = Draw(s, &random);
      Check(*timed(&ask, [&] { return exchange.Ask(*keys.batch); }), keys, &hash);
    }
    for (int64_t i = 0; i < kTurn; ++i) {
      const Keys keys = Draw(s, &random);
      timed(&ask_floor, [&] { return constant_exchange.Ask(*keys.batch); });
    }
  }
  const auto ask_floor_us = Summarise(ask_floor);
  const auto get_us = Summarise(get), floor_us = Summarise(floor), ask_us = Summarise(ask);
  const double get_ratio = get_us.p50 / floor_us.p50;
  const double ask_ratio = ask_us.p50 / get_us.p50;
  std::printf("constant server DoGet   p50 %.1f us  p99 %.1f\n", floor_us.p50, floor_us.p99);
  std::printf("ours, DoGet by ticket   p50 %.1f us  p99 %.1f  %.2f x the constant (<= %.1f: %s)\n",
              get_us.p50, get_us.p99, get_ratio, kGetRatioMax, Verdict(get_ratio <= kGetRatioMax));
  std::printf("constant server DoExchange  p50 %.1f us  p99 %.1f\n", ask_floor_us.p50,
              ask_floor_us.p99);
  std::printf(
      "ours, a look-up of DoExchange  p50 %.1f us  p99 %.1f  %.2f x our DoGet (<= %.1f: %s)\n",
      ask_us.p50, ask_us.p99, ask_ratio, kExchangeRatioMax,
      Verdict(ask_ratio <= kExchangeRatioMax));
  line->Add("constant_p50_us", floor_us.p50)
      .Add("get_p50_us", get_us.p50)
      .Add("get_p99_us", get_us.p99)
      .Add("get_ratio", get_ratio)
      .Add("constant_exchange_p50_us", ask_floor_us.p50)
      .Add("exchange_p50_us", ask_us.p50)
      .Add("exchange_p99_us", ask_us.p99)
      .Add("exchange_ratio", ask_ratio)
      .Hash("output_hash", hash);
}

// -> keys a second of all clients together. `look_up`: made for each client, called with keys.
template <typename MakeLookUp>
double KeysPerSecond(const Settings& s, const Child& server, const MakeLookUp& make_look_up) {
  const int64_t reads = std::max<int64_t>(s.reads / 6, 10);
  std::atomic<int64_t> ready = 0;
  std::atomic<bool> go = false;
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < s.streams; ++t) {
    threads.emplace_back([&, t] {
      const auto client = server.Connect();
      const auto look_up = make_look_up(client.get());
      Random random(static_cast<uint64_t>(s.seed + 100 + t));
      std::vector<Keys> keys;
      for (int64_t i = 0; i < 16; ++i) keys.push_back(Draw(s, &random));
      look_up(keys[0]);
      ready.fetch_add(1);
      while (!go.load()) std::this_thread::yield();
      for (int64_t i = 0; i < reads; ++i) look_up(keys[static_cast<size_t>(i) % keys.size()]);
    });
  }
  while (ready.load() < s.streams) std::this_thread::yield();
  const int64_t start = NowNanos();
  go.store(true);
  for (std::thread& thread : threads) thread.join();
  const double seconds = static_cast<double>(NowNanos() - start) / 1e9;
  return static_cast<double>(s.streams * reads * s.keys) / seconds;
}

void ManyStreams(const Settings& s, const Child& ours, const Child& constant, JsonLine* line) {
  const auto by_get = [](af::FlightClient* client) {
    return [client](const Keys& keys) { Get(client, keys.ticket); };
  };
  const auto by_exchange = [](af::FlightClient* client) {
    auto exchange = std::make_shared<Exchange>(client);
    return [exchange](const Keys& keys) { exchange->Ask(*keys.batch); };
  };
  double get = 0, floor = 0, ask = 0;
  for (int64_t round = 0; round < s.rounds; ++round) {  // the best round of each
    floor = std::max(floor, KeysPerSecond(s, constant, by_get));
    get = std::max(get, KeysPerSecond(s, ours, by_get));
    ask = std::max(ask, KeysPerSecond(s, ours, by_exchange));
  }
  const double ratio = get / floor;
  std::printf("%lld streams, M keys/s: constant %.2f, ours by DoGet %.2f, by DoExchange %.2f\n",
              static_cast<long long>(s.streams), floor / 1e6, get / 1e6, ask / 1e6);
  std::printf("ours by DoGet is %.2f x the constant server (>= %.1f: %s), by DoExchange %.2f x\n",
              ratio, kStreamsRatioMin, Verdict(ratio >= kStreamsRatioMin), ask / floor);
  line->Add("streams_constant_keys_per_second", floor)
      .Add("streams_get_keys_per_second", get)
      .Add("streams_exchange_keys_per_second", ask)
      .Add("streams_ratio", ratio);
}

int Main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  if (!s.serve.empty()) return Serve(s);
  JsonLine line;
  line.Add("bench", "flight").Add("rows", s.rows).Add("keys", s.keys).Add("seed", s.seed);
  {
    const Child ours(argv, s, "ours");
    const Child constant(argv, s, "constant");
    if (s.pin && std::thread::hardware_concurrency() > 1) StayOn(1);
    OneStream(s, ours, constant, &line);
    ManyStreams(s, ours, constant, &line);
  }
  fs::remove_all(s.dir);
  line.Print();
  return 0;
}

}  // namespace
}  // namespace fletching::bench

int main(int argc, char** argv) { return fletching::bench::Main(argc, argv); }
