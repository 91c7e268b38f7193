// The engine against a dictionary: random operations on random schemas, every answer compared.
// A failure prints the seed and the steps that led to it.
#include <memory>
#include <string>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "engine/test_matrix.h"
#include "engine/test_model.h"
#include "io/sim_file_system.h"
#include "io/test_folder.h"
#include "table/verify.h"

namespace fletching::engine {
namespace {

struct RunOptions {
  uint64_t seed = 0;
  int steps = 60;
  bool background = false;
  bool numbers = false;  // mostly columns that a matrix takes
  // null: the real disk below `folder`
  io::FileSystem* disk = nullptr;
  std::string folder = "/data";
};

TableSchema NumberSchema(Random& random) {
  TableSchema schema = RandomSchema(random);
  const auto pick = [&] {
    const auto& types = NumberTypes();
    // Often one type for many columns, so that they lie side by side.
    return random.Chance(50) ? arrow::float32() : types[random.Next() % types.size()];
  };
  for (ColumnSchema& column : schema.columns) {
    if (!schema.IsKey(column.name) && column.name != schema.event_time) column.type = pick();
  }
  for (int64_t i = 0; i < 3; ++i) {
    schema.columns.push_back(
        {.name = "n" + std::to_string(i), .type = pick(), .nullable = random.Chance(75)});
  }
  return schema;
}

class ModelRun {
 public:
  explicit ModelRun(const RunOptions& options)
      : options_(options),
        random_(options.seed),
        model_(options.numbers ? NumberSchema(random_) : RandomSchema(random_)) {}

  void Run() {
    ASSERT_NO_FATAL_FAILURE(Open());
    const Status made = engine_->CreateTable("t", model_.schema());
    ASSERT_TRUE(made.ok()) << made;
    for (int step = 0; step < options_.steps; ++step) {
      Step();
      Compare();
      if (::testing::Test::HasFailure()) {
        std::string text;
        for (const std::string& line : history_) text += line + "\n";
        FAIL() << "seed " << options_.seed << " after\n" << text;
      }
    }
    engine_.reset();
    if (options_.disk == nullptr) return;
    VerifyReport report;
    ASSERT_TRUE(table::VerifyTable(options_.disk, folder_ + "/tables/00000001", &report).ok());
    EXPECT_TRUE(report.damage.empty()) << report.damage[0] << ", seed " << options_.seed;
  }

 private:
  void Open() {
    engine_.reset();
    EngineOptions options;
    options.data_dir = folder_;
    options.file_system = options_.disk;
    options.clock = &clock_;
    options.background_compaction = options_.background;
    options.memtable_bytes_max = 1 << random_.Below(18);
    if (random_.Chance(40)) options.memory_budget_bytes = int64_t{1} << (8 + random_.Below(14));
    options.small_write_bytes_max = random_.Chance(30) ? 0 : 1 << (8 + random_.Below(7));
    auto engine = Engine::Open(options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }

  Domain NowDomain() { return {.key_count = 40, .now_us = clock_.NowMicros()}; }

  void Step() {
    clock_.Advance(random_.Chance(10) ? 5'000'000 : random_.Below(300'000));
    const int64_t choice = random_.Below(100);
    if (choice < 45) return Write(WriteMode::kReplace);
    if (choice < 60) return Write(WriteMode::kPatch);
    if (choice < 72) return Delete();
    if (choice < 80) return Expect("flush", engine_->Flush("t"));
    if (choice < 86) return Expect("compact", engine_->Compact("t"));
    if (choice < 92) {
      history_.push_back("reopen");
      return Open();
    }
    if (choice < 95) return AddColumn();
    if (choice < 97) return Snapshot();
    return Widen();
  }

  // From now on the run goes on in the snapshot: it has to be as good as the original.
  void Snapshot() {
    std::string dir = options_.folder + "-" + std::to_string(++snapshot_count_);
    const auto report = engine_->Snapshot({.dir = dir});
    Expect("snapshot", report.status());
    folder_ = std::move(dir);
    Open();
  }

  void Expect(const std::string& what, const Status& status) {
    history_.push_back(what);
    EXPECT_TRUE(status.ok()) << what << ": " << status;
  }

  void AddColumn() {
    if (model_.schema().columns.size() > 14) return;
    ColumnSchema column =
        RandomColumn("added" + std::to_string(model_.schema().columns.size()), random_);
    column.nullable = true;
    Expect("add " + TypeName(*column.type), engine_->AddColumn("t", column));
    model_.AddColumn(column);
  }

  void Widen() {
    for (const std::string& name : model_.schema().ValueColumnNames()) {
      const auto wider = WiderType(*model_.schema().Find(name)->type, random_);
      if (wider == nullptr || random_.Chance(50)) continue;
      Expect("widen " + name + " to " + TypeName(*wider), engine_->WidenColumn("t", name, wider));
      model_.WidenColumn(name, wider);
    }
  }

  std::vector<std::string> ColumnsToWrite(WriteMode mode) {
    const TableSchema& schema = model_.schema();
    std::vector<std::string> names;
    for (const ColumnSchema& column : schema.columns) {
      const bool must = mode == WriteMode::kReplace || schema.IsKey(column.name) ||
                        column.name == schema.event_time;
      if (must || random_.Chance(50)) names.push_back(column.name);
    }
    return names;
  }

  void Write(WriteMode mode) {
    const std::vector<std::string> names = ColumnsToWrite(mode);
    std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
    std::vector<std::shared_ptr<arrow::RecordBatch>> given;
    std::string what = mode == WriteMode::kPatch ? "patch" : "write";
    std::shared_ptr<arrow::Schema> given_schema;
    const uint64_t clothes = random_.Next();
    for (int64_t left = 1 + random_.Below(3); left > 0; --left) {
      const int64_t rows =
          random_.Chance(10) ? 0 : 1 + random_.Below(random_.Chance(10) ? 300 : 20);
      batches.push_back(RandomBatch(model_.schema(), names, rows, NowDomain(), random_));
      what += " " + std::to_string(rows);
      Random disguise(clothes);  // the same for each batch: one stream has one schema
      std::vector<std::shared_ptr<arrow::Array>> columns;
      std::vector<std::shared_ptr<arrow::Field>> fields;
      for (int c = 0; c < batches.back()->num_columns(); ++c) {
        columns.push_back(Disguise(batches.back()->column(c), disguise));
        fields.push_back(arrow::field(batches.back()->column_name(c), columns.back()->type()));
      }
      if (given_schema == nullptr) given_schema = arrow::schema(fields);
      given.push_back(arrow::RecordBatch::Make(given_schema, rows, std::move(columns)));
    }
    for (const std::string& name : names) what += " " + name;
    history_.push_back(what);
    const auto reader = arrow::RecordBatchReader::Make(given, given_schema).ValueOrDie();
    const auto result = engine_->Write({.table = "t", .mode = mode}, reader.get());
    if (model_.Write(batches, mode, clock_.NowMicros())) {
      EXPECT_TRUE(result.ok()) << result.status();
    } else {
      EXPECT_FALSE(result.ok());
      if (!result.ok()) {
        EXPECT_EQ(CodeOf(result.status()), ErrorCode::kSchemaMismatch);
      }
    }
  }

  void Delete() {
    const KeyArrays keys = RandomKeys(model_.schema(), random_.Below(12), NowDomain(), random_);
    std::optional<int64_t> event_time_us;
    if (random_.Chance(50)) event_time_us = clock_.NowMicros() - random_.Below(20'000'000);
    history_.push_back("delete " + std::to_string(keys[0]->length()) +
                       (event_time_us.has_value() ? " late" : ""));
    const auto result =
        engine_->Delete({.table = "t", .keys = keys, .event_time_us = event_time_us});
    EXPECT_TRUE(result.ok()) << result.status();
    if (result.ok()) {
      EXPECT_EQ(result->row_count, keys[0]->length());
    }
    model_.Delete(keys, event_time_us, clock_.NowMicros());
  }

  void Compare() {
    if (::testing::Test::HasFailure()) return;
    CompareScan();
    CompareRead(random_.Chance(30));
    CompareMatrix();
    const auto info = engine_->GetTable("t");
    ASSERT_TRUE(info.ok());
    EXPECT_GE(info->version, version_);  // never back
    version_ = info->version;
  }

  void CompareScan() {
    const auto reader = engine_->Scan({.table = "t"});
    ASSERT_TRUE(reader.ok()) << reader.status();
    const std::map<std::string, Cells> expected = model_.Live(clock_.NowMicros());
    size_t seen = 0;
    std::shared_ptr<arrow::RecordBatch> batch;
    while (true) {
      const Status status = (*reader)->ReadNext(&batch);
      ASSERT_TRUE(status.ok()) << status;
      if (batch == nullptr) break;
      ASSERT_TRUE(batch->ValidateFull().ok()) << batch->ValidateFull();
      KeyArrays keys;
      for (const std::string& name : model_.schema().key)
        keys.push_back(batch->GetColumnByName(name));
      for (int64_t row = 0; row < batch->num_rows(); ++row) {
        ++seen;
        const auto found = expected.find(KeyText(keys, row));
        ASSERT_NE(found, expected.end()) << "scan shows a row that is not there";
        CompareRow(*batch, row, model_.schema().ValueColumnNames(), found->second, "scan");
      }
    }
    EXPECT_EQ(seen, expected.size()) << "rows of a scan";
  }

  // names: the columns that `batch` has to show, among the model's.
  void CompareRow(const arrow::RecordBatch& batch, int64_t row,
                  const std::vector<std::string>& names, const Cells& expected,
                  const std::string& what) {
    const std::vector<std::string> all = model_.schema().ValueColumnNames();
    for (const std::string& name : names) {
      const auto at = std::find(all.begin(), all.end(), name) - all.begin();
      const auto column = batch.GetColumnByName(name);
      ASSERT_NE(column, nullptr) << name;
      ASSERT_TRUE(column->type()->Equals(*model_.schema().Find(name)->type)) << name;
      EXPECT_EQ(CellOf(*column, row), expected[static_cast<size_t>(at)])
          << what << ", column " << name << " row " << row;
    }
  }

  void CompareRead(bool hits_only) {
    std::vector<std::string> names = model_.schema().ValueColumnNames();
    std::optional<std::vector<std::string>> wanted;
    if (random_.Chance(40)) {
      std::erase_if(names, [&](const std::string&) { return random_.Chance(50); });
      std::reverse(names.begin(), names.end());
      wanted = names;
    }
    const KeyArrays keys = RandomKeys(model_.schema(), random_.Chance(10) ? 0 : random_.Below(60),
                                      NowDomain(), random_);
    KeyArrays given;
    for (const auto& key : keys) given.push_back(Disguise(key, random_));
    const auto result =
        engine_->Read({.table = "t", .keys = given, .columns = wanted, .hits_only = hits_only});
    ASSERT_TRUE(result.ok()) << result.status();
    ASSERT_TRUE(result->batch->ValidateFull().ok()) << result->batch->ValidateFull();
    const int64_t count = keys[0]->length();
    int64_t found_count = 0;
    for (int64_t i = 0; i < count; ++i) {
      const Cells* expected = model_.Find(KeyText(keys, i), clock_.NowMicros());
      const bool found = (result->found->data()[i / 8] >> (i % 8)) & 1;
      ASSERT_EQ(found, expected != nullptr) << "key " << i;
      if (hits_only && expected == nullptr) continue;
      const Cells nulls(model_.schema().columns.size());
      CompareRow(*result->batch, hits_only ? found_count : i, names,
                 expected != nullptr ? *expected : nulls, "read");
      if (hits_only) {
        const auto& positions = static_cast<const arrow::UInt32Array&>(*result->positions);
        ASSERT_EQ(positions.Value(found_count), i);
      }
      found_count += found ? 1 : 0;
    }
    EXPECT_EQ(result->found_count, found_count);
    EXPECT_EQ(result->batch->num_rows(), hits_only ? found_count : count);
  }

  // Of columns that mostly are numbers; one that is not makes an error of all.
  void CompareMatrix() {
    std::vector<std::string> names;
    for (const std::string& name : model_.schema().ValueColumnNames()) {
      const auto& type = *model_.schema().Find(name)->type;
      const bool is_number = arrow::is_integer(type.id()) || arrow::is_floating(type.id());
      const bool is_integer_turn = options_.seed % 3 == 0;
      if (is_number && !(is_integer_turn && arrow::is_floating(type.id()) && random_.Chance(90))) {
        if (random_.Chance(80)) names.push_back(name);
      } else if (random_.Chance(type.id() == arrow::Type::BOOL ? 80 : 2)) {
        names.push_back(name);
      }
    }
    if (random_.Chance(20)) std::reverse(names.begin(), names.end());
    const int64_t count = random_.Chance(10) ? 0 : random_.Below(150);
    const KeyArrays keys = RandomKeys(model_.schema(), count, NowDomain(), random_);
    CompareMatrices(*engine_, "t", keys, names, random_);
  }

  const RunOptions options_;
  Random random_;
  FakeClock clock_;
  ModelTable model_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::string> history_;
  uint64_t version_ = 0;
  std::string folder_ = options_.folder;
  int snapshot_count_ = 0;
};

TEST(EngineModel, AnswersAsADictionaryDoes) {
  const char* many = std::getenv("FLETCHING_MODEL_SEEDS");  // for a long run
  const uint64_t seeds = many != nullptr ? std::strtoull(many, nullptr, 10) : 60;
  const uint64_t first = 1;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    io::SimFileSystem disk;
    ASSERT_NO_FATAL_FAILURE(ModelRun({.seed = seed, .disk = &disk}).Run());
  }
}

TEST(EngineModel, MatricesHoldWhatColumnsHold) {
  for (uint64_t seed = 3001; seed <= 3060; ++seed) {
    io::SimFileSystem disk;
    ASSERT_NO_FATAL_FAILURE(ModelRun({.seed = seed, .numbers = true, .disk = &disk}).Run());
  }
}

TEST(EngineModel, AnswersAsADictionaryDoesWhileCompactionRuns) {
  for (uint64_t seed = 1001; seed <= 1040; ++seed) {
    io::SimFileSystem disk;
    ASSERT_NO_FATAL_FAILURE(
        ModelRun({.seed = seed, .steps = 100, .background = true, .disk = &disk}).Run());
  }
}

TEST(EngineModel, AnswersAsADictionaryDoesOnTheRealDisk) {
  for (uint64_t seed = 2001; seed <= 2004; ++seed) {
    io::TestFolder folder;
    ASSERT_NO_FATAL_FAILURE(
        ModelRun({.seed = seed, .background = true, .folder = folder / "data"}).Run());
    const auto report = Engine::Verify(folder / "data");
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->damage.empty()) << report->damage[0];
  }
}

}  // namespace
}  // namespace fletching::engine
