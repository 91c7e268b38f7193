// The engine from its door: what a user sees.
#include "fletching/engine.h"

#include <atomic>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/thread_priority.h"
#include "io/fault_file_system.h"
#include "io/test_folder.h"

namespace fletching {
namespace {

TableSchema Docs() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "score", .type = arrow::float32()},
                    {.name = "title", .type = arrow::utf8()}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::RecordBatchReader> DocRows(const std::vector<std::string>& ids,
                                                  const std::vector<float>& scores) {
  arrow::FloatBuilder floats;
  EXPECT_TRUE(floats.AppendValues(scores).ok());
  std::vector<std::string> titles;
  for (const std::string& id : ids) titles.push_back("title of " + id);
  auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::utf8()), arrow::field("score", arrow::float32()),
                     arrow::field("title", arrow::utf8())}),
      static_cast<int64_t>(ids.size()), {Texts(ids), floats.Finish().ValueOrDie(), Texts(titles)});
  return arrow::RecordBatchReader::Make({batch}).ValueOrDie();
}

std::string Show(Engine& engine, const std::vector<std::string>& ids) {
  auto result = engine.Read({.table = "docs", .keys = {Texts(ids)}});
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) return "";
  const auto& batch = *result->batch;
  EXPECT_TRUE(batch.ValidateFull().ok()) << batch.ValidateFull();
  std::string text;
  for (int64_t i = 0; i < batch.num_rows(); ++i) {
    for (const auto& column : batch.columns()) {
      text += column->GetScalar(i).ValueOrDie()->ToString() + " ";
    }
    text += "| ";
  }
  return text;
}

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    engine_.reset();
    auto engine = Engine::Open({.data_dir = folder_.path()});
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  void Write(const std::vector<std::string>& ids, const std::vector<float>& scores) {
    const auto rows = DocRows(ids, scores);
    const auto result = engine_->Write({.table = "docs"}, rows.get());
    ASSERT_TRUE(result.ok()) << result.status();
  }
  io::TestFolder folder_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, ReadsBackWhatWasWrittenThroughEveryStateOfATable) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  Write({"a", "b", "a"}, {1, 2, 3});
  const std::string expected = "3 title of a | null null | 2 title of b | ";
  EXPECT_EQ(Show(*engine_, {"a", "x", "b"}), expected);
  Open();  // replays the log
  EXPECT_EQ(Show(*engine_, {"a", "x", "b"}), expected);
  ASSERT_TRUE(engine_->Flush("docs").ok());
  EXPECT_EQ(Show(*engine_, {"a", "x", "b"}), expected);
  Open();  // reads the segment
  EXPECT_EQ(Show(*engine_, {"a", "x", "b"}), expected);
  Write({"b"}, {20});
  EXPECT_EQ(Show(*engine_, {"a", "b"}), "3 title of a | 20 title of b | ");
  ASSERT_TRUE(engine_->Delete({.table = "docs", .keys = {Texts({"a"})}}).ok());
  EXPECT_EQ(Show(*engine_, {"a", "b"}), "null null | 20 title of b | ");
  ASSERT_TRUE(engine_->Compact("docs").ok());
  EXPECT_EQ(Show(*engine_, {"a", "b"}), "null null | 20 title of b | ");
  EXPECT_EQ(engine_->GetTable("docs")->row_count, 1);
  EXPECT_EQ(engine_->GetTable("docs")->segment_count, 1);
  const auto report = Engine::Verify(folder_.path());
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->damage.empty()) << report->damage[0];
  EXPECT_TRUE(report->orphans.empty() || report->orphans[0].ends_with("LOCK"))
      << report->orphans[0];
}

TEST_F(EngineTest, AnswersOnlyHitsWhenAskedTo) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  Write({"a", "b"}, {1, 2});
  const auto result = engine_->Read({.table = "docs",
                                     .keys = {Texts({"x", "b", "y", "a", "b"})},
                                     .columns = {{"score"}},
                                     .hits_only = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->found_count, 3);
  EXPECT_EQ(result->batch->num_rows(), 3);
  EXPECT_EQ(result->positions->ToString(), "[\n  1,\n  3,\n  4\n]");
}

TEST_F(EngineTest, PatchKeepsTheColumnsItDoesNotName) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  Write({"a"}, {1});
  auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("id", arrow::utf8()), arrow::field("title", arrow::utf8())}), 2,
      {Texts({"a", "new"}), Texts({"patched", "fresh"})});
  const auto rows = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
  const auto result = engine_->Write({.table = "docs", .mode = WriteMode::kPatch}, rows.get());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Show(*engine_, {"a", "new"}), "1 patched | null fresh | ");
}

TEST_F(EngineTest, AddsAndWidensColumnsWithoutRewriting) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  Write({"a"}, {1.5});
  ASSERT_TRUE(engine_->AddColumn("docs", {.name = "rank", .type = arrow::int32()}).ok());
  ASSERT_TRUE(engine_->WidenColumn("docs", "score", arrow::float64()).ok());
  EXPECT_EQ(Show(*engine_, {"a"}), "1.5 title of a null | ");
  Open();
  EXPECT_EQ(Show(*engine_, {"a"}), "1.5 title of a null | ");
}

TEST_F(EngineTest, StoresALargeBatchAsASegmentAtOnce) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  std::vector<std::string> ids;
  std::vector<float> scores;
  for (int i = 0; i < 300'000; ++i) {
    ids.push_back("key" + std::to_string(i % 250'000));
    scores.push_back(static_cast<float>(i));
  }
  Write(ids, scores);
  EXPECT_EQ(engine_->GetTable("docs")->row_count, 250'000);
  EXPECT_EQ(Show(*engine_, {"key7", "key249999", "key250000"}),
            "250007 title of key7 | 249999 title of key249999 | null null | ");
  Open();
  EXPECT_EQ(Show(*engine_, {"key7"}), "250007 title of key7 | ");
  ASSERT_TRUE(engine_->Compact("docs").ok());
  EXPECT_EQ(Show(*engine_, {"key7"}), "250007 title of key7 | ");
  EXPECT_EQ(engine_->GetTable("docs")->row_count, 250'000);
}

TEST_F(EngineTest, RefusesATableOfANameThatIsTaken) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  for (const char* name : {"docs", "Docs"}) {
    const Status status = engine_->CreateTable(name, Docs());
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(CodeOf(status), ErrorCode::kAlreadyExists) << status;
  }
  ASSERT_TRUE(engine_->DropTable("docs").ok());
  EXPECT_TRUE(engine_->CreateTable("Docs", Docs()).ok());
}

TEST_F(EngineTest, WritesNothingWhenOpenedReadOnly) {
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  Write({"a"}, {1});
  engine_.reset();
  auto opened = Engine::Open({.data_dir = folder_.path(), .mode = OpenMode::kReadOnly});
  ASSERT_TRUE(opened.ok()) << opened.status();
  engine_ = *std::move(opened);
  EXPECT_EQ(Show(*engine_, {"a"}), "1 title of a | ");
  const auto rows = DocRows({"b"}, {2});
  const auto refused = [](const Status& status) {
    return !status.ok() && CodeOf(status) == ErrorCode::kInvalidArgument;
  };
  EXPECT_TRUE(refused(engine_->Write({.table = "docs"}, rows.get()).status()));
  EXPECT_TRUE(refused(engine_->Delete({.table = "docs", .keys = {Texts({"a"})}}).status()));
  EXPECT_TRUE(refused(engine_->CreateTable("more", Docs())));
  EXPECT_TRUE(refused(engine_->DropTable("docs")));
  EXPECT_TRUE(refused(engine_->AddColumn("docs", {.name = "rank", .type = arrow::int32()})));
  EXPECT_TRUE(refused(engine_->Flush("docs")));
  EXPECT_TRUE(refused(engine_->Compact("docs")));
  EXPECT_EQ(Show(*engine_, {"a", "b"}), "1 title of a | null null | ");
}

TEST_F(EngineTest, LendsItsPriorityToTheRoundThatClosingWaitsFor) {
  if (!BackgroundThread::CanLend()) GTEST_SKIP() << "threads may not leave SCHED_IDLE here";
  engine_.reset();
  io::FaultFileSystem disk(io::PosixFileSystem());
  std::atomic<pid_t> worker_id{0};
  std::atomic<bool> may_go{false};
  disk.SetObserver([&](const io::IoRecord& record) {
    if (BackgroundThread::Current() == nullptr || record.call != io::IoCall::kCreate) return;
    if (worker_id != 0 || sched_getscheduler(0) != SCHED_IDLE) return;
    worker_id = gettid();
    while (!may_go) std::this_thread::yield();
    const PriorityBoost boost;  // whose end must not end the loan
  });
  auto engine = Engine::Open({.data_dir = folder_.path(), .file_system = &disk});
  ASSERT_TRUE(engine.ok()) << engine.status();
  engine_ = *std::move(engine);
  ASSERT_TRUE(engine_->CreateTable("docs", Docs()).ok());
  const std::vector<std::string> ids(200'000, "the same key");
  for (int i = 0; i < 2; ++i) Write(ids, std::vector<float>(ids.size(), 1));
  while (worker_id == 0) std::this_thread::yield();
  std::thread closing([&] { EXPECT_TRUE(engine_->Close().ok()); });
  while (sched_getscheduler(worker_id) != SCHED_OTHER) std::this_thread::yield();
  may_go = true;
  closing.join();
  engine_.reset();
}

TEST_F(EngineTest, RefusesASecondWriterAndNamesTheFirst) {
  const auto second = Engine::Open({.data_dir = folder_.path()});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(CodeOf(second.status()), ErrorCode::kLocked);
  EXPECT_NE(second.status().message().find(std::to_string(getpid())), std::string::npos);
}

}  // namespace
}  // namespace fletching
