// kill -9 under load, on the real disk: a child process writes with several threads while
// compaction, flushes and schema work run; it is killed at a random moment; this process opens the
// store, and everything acknowledged over a pipe must be there, no operation by halves, nothing
// damaged. FLETCHING_CRASH_CYCLES says how often (default 6, `make crash` does 200),
// FLETCHING_CRASH_SEED repeats a run as far as the moments of the kills can be repeated.
//
// Does not cut the power: the page cache outlives a kill. engine/engine_crash_test.cc does.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <random>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "base/check.h"
#include "io/test_folder.h"

extern char** environ;

namespace fletching {
namespace {

constexpr int kWriters = 4;
constexpr int kKeys = 300;  // of each writer; nobody else writes them
constexpr int kPipe = 3;    // the child's end

using Random = std::mt19937_64;

enum class Kind : uint8_t { kWrite, kPatch, kDelete };

// What a writer does in its n-th operation: the same in both processes.
struct Operation {
  Kind kind = Kind::kWrite;
  int first = 0;
  int count = 0;
};

Operation OperationOf(uint64_t seed, int writer, int64_t number) {
  Random random(seed * 1'000'003 + static_cast<uint64_t>(number * kWriters + writer));
  Operation op;
  const uint64_t choice = random() % 100;
  op.kind = choice < 75 ? Kind::kWrite : choice < 85 ? Kind::kPatch : Kind::kDelete;
  op.count = choice < 15 ? 200 : 1 + static_cast<int>(random() % 12);
  op.first = static_cast<int>(random() % static_cast<uint64_t>(kKeys - op.count));
  return op;
}

// What the child tells: an operation begins (the sign is negative) or was acknowledged.
struct Message {
  int32_t writer;
  int32_t is_done;
  int64_t number;
};

std::string KeyOf(int writer, int key) {
  return "w" + std::to_string(writer) + "-" + std::to_string(key);
}
std::string TextOf(int key, int64_t number) {
  return std::to_string(number) + std::string(static_cast<size_t>((key + number) % 60), '#');
}

TableSchema Schema() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "number", .type = arrow::int64()},
                    {.name = "text", .type = arrow::utf8()}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Keys(int writer, int first, int count) {
  arrow::StringBuilder builder;
  for (int key = first; key < first + count; ++key) {
    FLETCHING_CHECK(builder.Append(KeyOf(writer, key)).ok());
  }
  return builder.Finish().ValueOrDie();
}

Status Perform(Engine& engine, int writer, const Operation& op, int64_t number) {
  const auto keys = Keys(writer, op.first, op.count);
  if (op.kind == Kind::kDelete) return engine.Delete({.table = "t", .keys = {keys}}).status();
  arrow::Int64Builder numbers;
  arrow::StringBuilder texts;
  for (int key = op.first; key < op.first + op.count; ++key) {
    FLETCHING_CHECK(numbers.Append(number).ok() && texts.Append(TextOf(key, number)).ok());
  }
  std::vector<std::shared_ptr<arrow::Field>> fields = {arrow::field("id", arrow::utf8()),
                                                       arrow::field("text", arrow::utf8())};
  std::vector<std::shared_ptr<arrow::Array>> columns = {keys, texts.Finish().ValueOrDie()};
  if (op.kind == Kind::kWrite) {
    fields.push_back(arrow::field("number", arrow::int64()));
    columns.push_back(numbers.Finish().ValueOrDie());
  }
  const auto reader =
      arrow::RecordBatchReader::Make(
          {arrow::RecordBatch::Make(arrow::schema(fields), op.count, std::move(columns))})
          .ValueOrDie();
  const WriteMode mode = op.kind == Kind::kPatch ? WriteMode::kPatch : WriteMode::kReplace;
  return engine.Write({.table = "t", .mode = mode}, reader.get()).status();
}

EngineOptions OptionsOf(const std::string& folder, uint64_t seed) {
  Random random(seed);
  EngineOptions options;
  options.data_dir = folder;
  options.memtable_bytes_max = 1 << (16 + random() % 4);
  options.small_write_bytes_max = random() % 4 == 0 ? 0 : 4'000;
  return options;
}

// ---- the child ----

void Tell(const Message& message) {
  if (::write(kPipe, &message, sizeof(message)) != sizeof(message)) std::_Exit(3);
}

void RunWriter(Engine& engine, uint64_t seed, int writer, int64_t number) {
  for (;; ++number) {
    Tell({writer, 0, number});
    const Status status = Perform(engine, writer, OperationOf(seed, writer, number), number);
    if (!status.ok()) {
      std::fprintf(stderr, "writer %d: %s\n", writer, status.ToString().c_str());
      std::_Exit(2);
    }
    Tell({writer, 1, number});
  }
}

// Tables come and go, and the one that is written is flushed and compacted on request as well.
void RunRest(Engine& engine, uint64_t seed) {
  Random random(seed);
  while (true) {
    Status status;
    switch (random() % 4) {
      case 0:
        status = engine.Flush("t");
        break;
      case 1:
        status = engine.Compact("t");
        break;
      case 2:
        status = engine.GetTable("other").ok() ? engine.DropTable("other")
                                               : engine.CreateTable("other", Schema());
        break;
      default:
        std::this_thread::yield();
    }
    if (!status.ok()) {
      std::fprintf(stderr, "rest: %s\n", status.ToString().c_str());
      std::_Exit(2);
    }
  }
}

// arguments: folder, seed of the operations, seed of the options, first number of each writer
int RunChild(char** arguments) {
  const uint64_t seed = std::strtoull(arguments[1], nullptr, 10);
  const uint64_t cycle_seed = std::strtoull(arguments[2], nullptr, 10);
  auto engine = Engine::Open(OptionsOf(arguments[0], cycle_seed));
  if (!engine.ok()) {
    std::fprintf(stderr, "child: %s\n", engine.status().ToString().c_str());
    return 2;
  }
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    const int64_t first = std::strtoll(arguments[3 + writer], nullptr, 10);
    threads.emplace_back([&, writer, first] { RunWriter(**engine, seed, writer, first); });
  }
  RunRest(**engine, cycle_seed);
  return 0;
}

// ---- the parent ----

struct Row {
  int64_t number = 0;  // -1 = null: a patch made the row
  int64_t text_number = 0;
  bool operator==(const Row&) const = default;
};
using Rows = std::map<std::string, Row>;

void Apply(const Operation& op, int writer, int64_t number, Rows* rows) {
  for (int key = op.first; key < op.first + op.count; ++key) {
    const std::string id = KeyOf(writer, key);
    if (op.kind == Kind::kDelete) {
      rows->erase(id);
    } else if (op.kind == Kind::kWrite) {
      (*rows)[id] = {number, number};
    } else {
      const auto found = rows->find(id);
      (*rows)[id] = {found == rows->end() ? -1 : found->second.number, number};
    }
  }
}

class Parent {
 public:
  Parent(const std::string& folder, uint64_t seed) : folder_(folder), seed_(seed) {
    auto engine = Engine::Open({.data_dir = folder});
    FLETCHING_CHECK(engine.ok() && (*engine)->CreateTable("t", Schema()).ok());
  }

  // One life of a child, and a look at what it left.
  void Cycle(int cycle) {
    const uint64_t cycle_seed = seed_ + static_cast<uint64_t>(cycle) * 7919;
    Random random(cycle_seed);
    // Mostly into the work, at times into the opening.
    RunChildFor(cycle_seed, std::chrono::microseconds(random() % 4 == 0 ? random() % 20'000
                                                                        : random() % 250'000));
    if (!::testing::Test::HasFatalFailure()) Check();
  }
  int64_t acknowledged() const {
    int64_t total = 0;
    for (const int64_t number : next_) total += number;
    return total;
  }

 private:
  void RunChildFor(uint64_t cycle_seed, std::chrono::microseconds life) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    std::vector<std::string> words = {"/proc/self/exe", "--child", folder_, std::to_string(seed_),
                                      std::to_string(cycle_seed)};
    for (const int64_t number : next_) words.push_back(std::to_string(number));
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], kPipe);
    pid_t child = 0;
    const int spawned =
        posix_spawn(&child, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[1]);
    ASSERT_EQ(spawned, 0);
    std::thread killer([&] {
      std::this_thread::sleep_for(life);
      ::kill(child, SIGKILL);
    });
    Listen(ends[0]);
    killer.join();
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself, code " << WEXITSTATUS(status);
  }

  // Until the child is gone. Applies what was acknowledged; keeps what was under way.
  void Listen(int pipe) {
    under_way_.assign(kWriters, -1);
    Message message;
    while (::read(pipe, &message, sizeof(message)) == sizeof(message)) {
      const int writer = message.writer;
      if (message.is_done == 0) {
        under_way_[writer] = message.number;
        continue;
      }
      ASSERT_EQ(under_way_[writer], message.number);
      Apply(OperationOf(seed_, writer, message.number), writer, message.number, &rows_[writer]);
      under_way_[writer] = -1;
      next_[writer] = message.number + 1;
    }
  }

  void Check() {
    auto engine = Engine::Open({.data_dir = folder_});
    ASSERT_TRUE(engine.ok()) << engine.status();
    for (const TableInfo& info : (*engine)->ListTables()) {
      ASSERT_TRUE(info.health.ok()) << info.health;
    }
    std::vector<Rows> found(kWriters);
    ASSERT_NO_FATAL_FAILURE(ReadAll(**engine, &found));
    for (int writer = 0; writer < kWriters; ++writer) {
      const int64_t number = under_way_[writer];
      if (found[writer] != rows_[writer] && number >= 0) {
        Apply(OperationOf(seed_, writer, number), writer, number, &rows_[writer]);
      }
      if (number >= 0) next_[writer] = number + 1;
      ASSERT_EQ(found[writer].size(), rows_[writer].size()) << "rows of writer " << writer;
      for (const auto& [id, row] : rows_[writer]) {
        ASSERT_TRUE(found[writer].contains(id)) << id << " is lost";
        ASSERT_EQ(found[writer][id], row)
            << id << ": " << found[writer][id].number << "/" << found[writer][id].text_number
            << " instead of " << row.number << "/" << row.text_number;
      }
    }
    engine->reset();
    const auto report = Engine::Verify(folder_);
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(report->damage.empty()) << report->damage[0];
    for (const std::string& orphan : report->orphans) {
      ASSERT_TRUE(orphan.ends_with("LOCK")) << "left behind: " << orphan;
    }
  }

  void ReadAll(Engine& engine, std::vector<Rows>* found) {
    for (int writer = 0; writer < kWriters; ++writer) {
      const auto result = engine.Read({.table = "t", .keys = {Keys(writer, 0, kKeys)}});
      ASSERT_TRUE(result.ok()) << result.status();
      const auto& numbers =
          static_cast<const arrow::Int64Array&>(*result->batch->GetColumnByName("number"));
      const auto& texts =
          static_cast<const arrow::StringArray&>(*result->batch->GetColumnByName("text"));
      for (int key = 0; key < kKeys; ++key) {
        if (!((result->found->data()[key / 8] >> (key % 8)) & 1)) continue;
        const std::string text = texts.GetString(key);
        const int64_t text_number = std::atoll(text.c_str());
        ASSERT_EQ(text, TextOf(key, text_number)) << "torn text";
        (*found)[writer][KeyOf(writer, key)] = {numbers.IsNull(key) ? -1 : numbers.Value(key),
                                                text_number};
      }
    }
  }

  const std::string folder_;
  const uint64_t seed_;
  std::vector<Rows> rows_{kWriters};
  std::vector<int64_t> next_ = std::vector<int64_t>(kWriters, 1);
  std::vector<int64_t> under_way_;
};

TEST(Crash, LosesNothingToKill9) {
  const char* const given_cycles = std::getenv("FLETCHING_CRASH_CYCLES");
  const char* const given_seed = std::getenv("FLETCHING_CRASH_SEED");
  const int cycles = given_cycles != nullptr ? std::atoi(given_cycles) : 6;
  const uint64_t seed =
      given_seed != nullptr ? std::strtoull(given_seed, nullptr, 10) : std::random_device{}();
  std::printf("crash: %d cycles, FLETCHING_CRASH_SEED=%llu\n", cycles,
              static_cast<unsigned long long>(seed));
  io::TestFolder folder;
  Parent parent(folder / "data", seed);
  for (int cycle = 1; cycle <= cycles; ++cycle) {
    parent.Cycle(cycle);
    ASSERT_FALSE(HasFailure()) << "cycle " << cycle << ", seed " << seed;
  }
  std::printf("crash: %lld operations acknowledged, all found\n",
              static_cast<long long>(parent.acknowledged()));
}

}  // namespace
}  // namespace fletching

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--child") == 0) return fletching::RunChild(argv + 2);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
