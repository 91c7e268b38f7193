// A segment's file is cut short while the store is open: reads say so and name the file, nothing
// made of it is written, and everything else goes on.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "io/test_folder.h"

namespace fletching {
namespace {

constexpr int64_t kRows = 20'000;

TableSchema Docs() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "score", .type = arrow::int64()},
                    {.name = "rare", .type = arrow::int64()},
                    {.name = "title", .type = arrow::utf8()},
                    {.name = "tags", .type = arrow::list(arrow::utf8())}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Ids(int64_t first, int64_t count) {
  arrow::Int64Builder builder;
  for (int64_t i = first; i < first + count; ++i) EXPECT_TRUE(builder.Append(i).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::RecordBatch> DocRows(int64_t first, int64_t count) {
  arrow::Int64Builder scores;
  arrow::Int64Builder rare;
  arrow::StringBuilder titles;
  auto texts = std::make_shared<arrow::StringBuilder>();
  arrow::ListBuilder tags(arrow::default_memory_pool(), texts);
  for (int64_t i = first; i < first + count; ++i) {
    EXPECT_TRUE(scores.Append(3 * i).ok());
    EXPECT_TRUE((i % 50 == 0 ? rare.Append(i) : rare.AppendNull()).ok());
    EXPECT_TRUE(titles.Append("title of " + std::to_string(i)).ok());
    EXPECT_TRUE(tags.Append().ok());
    EXPECT_TRUE(texts->Append("tag" + std::to_string(i)).ok());
    EXPECT_TRUE(texts->Append("x").ok());
  }
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const ColumnSchema& column : Docs().columns) {
    fields.push_back(arrow::field(column.name, column.type));
  }
  return arrow::RecordBatch::Make(
      arrow::schema(fields), count,
      {Ids(first, count), scores.Finish().ValueOrDie(), rare.Finish().ValueOrDie(),
       titles.Finish().ValueOrDie(), tags.Finish().ValueOrDie()});
}

class EngineLostFile : public ::testing::Test {
 protected:
  void SetUp() override {
    Open();
    for (const char* table : {"docs", "others"}) {
      ASSERT_TRUE(engine_->CreateTable(table, Docs()).ok());
      ASSERT_TRUE(Write(table, 0, kRows).ok());
      ASSERT_TRUE(engine_->Compact(table).ok());
    }
    path_ = FilesOf(".flseg").at(0);
    file_bytes_ = std::filesystem::file_size(path_);
    ASSERT_GT(file_bytes_, 200 * 4096u);
  }
  void Open() {
    engine_.reset();
    engine_ =
        Engine::Open({.data_dir = folder_.path(), .background_compaction = false}).ValueOrDie();
  }
  // Of the first table, with the newest of each kind last.
  std::vector<std::string> FilesOf(std::string_view ending) const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "tables/00000001")) {
      if (entry.path().string().ends_with(ending)) found.insert(entry.path());
    }
    return {found.begin(), found.end()};
  }
  Status Write(const std::string& table, int64_t first, int64_t count,
               WriteMode mode = WriteMode::kReplace) {
    auto batch = DocRows(first, count);
    if (mode == WriteMode::kPatch) batch = batch->SelectColumns({0, 1}).ValueOrDie();
    const auto rows = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
    return engine_->Write({.table = table, .mode = mode}, rows.get()).status();
  }
  Result<ReadResult> Read(const std::string& table, int64_t first, int64_t count) {
    return engine_->Read({.table = table, .keys = {Ids(first, count)}});
  }
  static bool IsRight(const ReadResult& result, int64_t first, int64_t count) {
    const auto expected = DocRows(first, count)->RemoveColumn(0).ValueOrDie();
    return result.batch->Equals(*expected, false);
  }
  void ExpectLost(const Status& status) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(CodeOf(status), ErrorCode::kUnavailable) << status;
    EXPECT_EQ(status.message(),
              path_ + " could not be read: the file was cut short or the disk failed");
  }
  void ExpectOthersServe() {
    const auto result = Read("others", 0, kRows);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(IsRight(*result, 0, kRows));
  }
  Status ScanAll() {
    ARROW_ASSIGN_OR_RAISE(const auto reader, engine_->Scan({.table = "docs"}));
    return reader->ToTable().status();
  }

  io::TestFolder folder_;
  std::unique_ptr<Engine> engine_;
  std::string path_;
  uint64_t file_bytes_ = 0;
};

TEST_F(EngineLostFile, IsAnErrorOfEveryReadHoweverLittleIsCutOff) {
  // Read before or not; whole pages and a part of the last one.
  for (const bool is_warm : {true, false}) {
    for (const uint64_t left : {uint64_t{0}, uint64_t{4096}, file_bytes_ / 2 / 4096 * 4096,
                                file_bytes_ / 2 + 5, file_bytes_ - 200, file_bytes_ - 1}) {
      const std::string copy = path_ + ".copy";
      std::filesystem::copy_file(path_, copy);
      Open();
      if (is_warm) {
        ASSERT_TRUE(IsRight(*Read("docs", 0, kRows), 0, kRows));
      }
      std::filesystem::resize_file(path_, left);
      for (const int64_t first : {int64_t{0}, kRows / 2, kRows - 10}) {
        ExpectLost(Read("docs", first, 10).status());
      }
      ExpectLost(Read("docs", 0, kRows).status());
      ExpectLost(Read("docs", -10, 10).status());  // absent keys are not known to be absent
      ExpectLost(ScanAll());
      ExpectOthersServe();
      std::filesystem::rename(copy, path_);
    }
  }
}

TEST_F(EngineLostFile, IsWrittenNowhere) {
  ASSERT_TRUE(Write("docs", kRows, 10).ok());
  ASSERT_TRUE(engine_->Flush("docs").ok());
  const auto manifests = FilesOf(".flman");
  const auto segments = FilesOf(".flseg");
  ASSERT_EQ(segments.size(), 2u);
  std::filesystem::resize_file(path_, file_bytes_ / 2);
  for (int i = 0; i < 3; ++i) {
    ExpectLost(engine_->Compact("docs"));
    EXPECT_EQ(FilesOf(".flman"), manifests);
    EXPECT_EQ(FilesOf(".flseg"), segments);
  }
  // Filled from rows that are gone.
  ExpectLost(Write("docs", 5, 1, WriteMode::kPatch));
  // What does not need them goes on, and is durable.
  ASSERT_TRUE(Write("docs", 7, 3).ok());
  const auto fresh = Read("docs", 7, 3);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_TRUE(IsRight(*fresh, 7, 3));
  ExpectLost(Read("docs", 6, 3).status());
  ASSERT_TRUE(engine_->Flush("docs").ok());
  ExpectOthersServe();
}

TEST_F(EngineLostFile, StaysFailedUntilItIsOpenedAgain) {
  const std::string copy = folder_ / "copy";
  std::filesystem::copy_file(path_, copy);
  std::filesystem::resize_file(path_, file_bytes_ - 1);
  ExpectLost(Read("docs", 0, 1).status());
  {
    std::ifstream in(copy, std::ios::binary);
    std::ofstream out(path_, std::ios::binary | std::ios::in);  // the same file, not a new one
    out << in.rdbuf();
  }
  ASSERT_EQ(std::filesystem::file_size(path_), file_bytes_);
  ExpectLost(Read("docs", 0, 1).status());
  Open();
  EXPECT_TRUE(IsRight(*Read("docs", 0, kRows), 0, kRows));
  EXPECT_TRUE(engine_->Compact("docs").ok());
}

TEST_F(EngineLostFile, IsFoundByOpeningAndVerifying) {
  std::filesystem::resize_file(path_, file_bytes_ / 2);
  const auto report = Engine::Verify(folder_.path());
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->damage.size(), 1u);
  EXPECT_NE(report->damage[0].find(path_), std::string::npos) << report->damage[0];
  Open();
  EXPECT_FALSE(Read("docs", 0, 1).ok());
  ExpectOthersServe();
}

TEST_F(EngineLostFile, GivesNoWrongAnswerAtTheMomentOfTheCut) {
  std::atomic<int> lost_count{0};
  std::vector<std::thread> readers;
  std::atomic<bool> has_begun{false};
  for (int t = 0; t < 3; ++t) {
    readers.emplace_back([&, t] {
      for (int64_t first = t * 1000;; first = (first + 777) % (kRows - 500)) {
        const auto result = Read("docs", first, 500);
        has_begun = true;
        if (!result.ok()) {
          ExpectLost(result.status());
          ++lost_count;
          return;
        }
        ASSERT_TRUE(IsRight(*result, first, 500)) << "keys from " << first;
      }
    });
  }
  while (!has_begun) std::this_thread::yield();
  std::filesystem::resize_file(path_, file_bytes_ / 4096 / 3 * 4096);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(lost_count, 3);
  ExpectOthersServe();
}

}  // namespace
}  // namespace fletching
