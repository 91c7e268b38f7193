// SQL over a real engine: what a user of any door sees.
#include "sql/sql_door.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

namespace fletching::sql {
namespace {

class SqlDoorTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/sql-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    engine_ = Engine::Open({.data_dir = folder_}).ValueOrDie();
    TableSchema schema;
    schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                      {.name = "score", .type = arrow::float32()},
                      {.name = "title", .type = arrow::utf8()}};
    schema.key = {"id"};
    ASSERT_TRUE(engine_->CreateTable("docs", schema).ok());
    Write(0, 1000, 0);
    door_ = std::make_unique<SqlDoor>(engine_.get(), SqlOptions{.queries_max = 3});
  }

  void TearDown() override {
    door_.reset();
    engine_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(int64_t first, int64_t count, int64_t plus) {
    arrow::Int64Builder ids;
    arrow::FloatBuilder scores;
    arrow::StringBuilder titles;
    for (int64_t i = first; i < first + count; ++i) {
      ASSERT_TRUE(ids.Append(i).ok());
      ASSERT_TRUE(scores.Append(static_cast<float>(i + plus)).ok());
      ASSERT_TRUE(
          (i % 10 == 0 ? titles.AppendNull() : titles.Append("t" + std::to_string(i))).ok());
    }
    const auto batch = arrow::RecordBatch::Make(
        arrow::schema({arrow::field("id", arrow::int64()), arrow::field("score", arrow::float32()),
                       arrow::field("title", arrow::utf8())}),
        count,
        {ids.Finish().ValueOrDie(), scores.Finish().ValueOrDie(), titles.Finish().ValueOrDie()});
    const auto rows = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
    const auto written = engine_->Write({.table = "docs"}, rows.get());
    ASSERT_TRUE(written.ok()) << written.status();
  }

  // The rows as text, or the code and the words of the error.
  std::string Ask(const SqlRequest& request) {
    const auto text = [&]() -> Result<std::string> {
      ARROW_ASSIGN_OR_RAISE(const auto rows, door_->Query(request));
      ARROW_ASSIGN_OR_RAISE(const auto table, rows->ToTable());
      std::string shown;
      for (int64_t row = 0; row < table->num_rows(); ++row) {
        for (const auto& column : table->columns()) {
          ARROW_ASSIGN_OR_RAISE(const auto value, column->GetScalar(row));
          shown += value->ToString() + " ";
        }
        shown += "| ";
      }
      return shown;
    }();
    if (text.ok()) return *text;
    return std::string(CodeName(CodeOf(text.status()))) + ": " + text.status().message();
  }
  std::string Ask(const char* text) { return Ask(SqlRequest{.text = text}); }

  std::string folder_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<SqlDoor> door_;
};

TEST_F(SqlDoorTest, ReadsTables) {
  EXPECT_EQ(Ask("SELECT id, score, title FROM docs WHERE id BETWEEN 9 AND 11 ORDER BY id"),
            "9 9 t9 | 10 10 null | 11 11 t11 | ");
  EXPECT_EQ(Ask("SELECT count(*), count(title), sum(score) FROM docs"), "1000 900 499500 | ");
  EXPECT_EQ(Ask("SELECT max(b.score) FROM Docs a JOIN DOCS b ON a.id = b.id + 1"), "998 | ");
  EXPECT_EQ(Ask(SqlRequest{.text = "SELECT score FROM docs WHERE id = $id",
                           .parameters = {{"id", {int64_t{7}}}}}),
            "7 | ");
}

TEST_F(SqlDoorTest, SeesWhatWasWritten) {
  Write(500, 1000, 1000);  // half of them new
  EXPECT_EQ(Ask("SELECT count(*), sum(score) FROM docs WHERE id >= 500"), "1000 1999500 | ");
  ASSERT_TRUE(engine_->Flush("docs").ok());
  EXPECT_EQ(Ask("SELECT count(*), sum(score) FROM docs WHERE id >= 500"), "1000 1999500 | ");
  ASSERT_TRUE(engine_->Compact("docs").ok());
  EXPECT_EQ(Ask("SELECT count(*) FROM docs"), "1500 | ");
  arrow::Int64Builder ids;
  ASSERT_TRUE(ids.AppendValues({1, 2, 3}).ok());
  ASSERT_TRUE(engine_->Delete({.table = "docs", .keys = {ids.Finish().ValueOrDie()}}).ok());
  EXPECT_EQ(Ask("SELECT count(*) FROM docs"), "1497 | ");
}

TEST_F(SqlDoorTest, AQuerySeesOneMoment) {
  // Begun before the write, read after it, and the table twice.
  const auto rows =
      door_->Query({.text = "SELECT a.score - b.score AS d FROM docs a, docs b WHERE a.id = b.id "
                            "UNION ALL SELECT score FROM docs WHERE score >= 5000"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  Write(0, 1000, 5000);
  const auto table = (*rows)->ToTable();
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ((*table)->num_rows(), 1000);
}

TEST_F(SqlDoorTest, WhatIsNotThere) {
  EXPECT_EQ(Ask("SELECT * FROM dosc"),
            "not_found: table 'dosc' does not exist (did you mean 'docs'?)");
  EXPECT_EQ(Ask("SELECT * FROM '/etc/passwd'"), "not_found: table '/etc/passwd' does not exist");
  EXPECT_TRUE(Ask("SELECT scor FROM docs").starts_with("invalid_argument: Binder Error"));
  EXPECT_EQ(Ask("DROP VIEW docs"),
            "invalid_argument: only SELECT is possible here (and WITH, FROM, VALUES)");
}

TEST_F(SqlDoorTest, AsksWhoMayRead) {
  SqlRequest request{.text = "SELECT * FROM range(1) a, DOCS"};
  std::string asked;
  request.may_read = [&](const std::string& table) {
    asked += table;
    return MakeError(ErrorCode::kForbidden, "not yours");
  };
  EXPECT_EQ(Ask(request), "forbidden: not yours");
  EXPECT_EQ(asked, "docs");
}

TEST_F(SqlDoorTest, Limits) {
  EXPECT_EQ(Ask(SqlRequest{.text = "SELECT * FROM range(10) t(i) WHERE i > 4", .rows_max = 5}),
            "5 | 6 | 7 | 8 | 9 | ");
  EXPECT_TRUE(Ask(SqlRequest{.text = "SELECT * FROM range(10000)", .rows_max = 5})
                  .starts_with("too_large"));
  const auto begun = std::chrono::steady_clock::now();
  const std::string endless =
      "SELECT sum(a.range * b.range + c.range) FROM range(1000000) a, "
      "range(1000000) b, range(1000000) c";
  EXPECT_EQ(Ask(SqlRequest{.text = endless, .timeout_ms = 200}),
            "deadline: the query took longer than 200 ms");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(30));
  EXPECT_EQ(Ask("SELECT 1"), "1 | ");
}

TEST_F(SqlDoorTest, SomeAtOnce) {
  std::vector<std::shared_ptr<arrow::RecordBatchReader>> open;
  for (int i = 0; i < 3; ++i) {
    open.push_back(door_->Query({.text = "SELECT * FROM range(1000000)"}).ValueOrDie());
  }
  EXPECT_EQ(Ask("SELECT 1"), "busy: 3 queries run already; try again");
  open.pop_back();  // half read, or not at all, is no reason to stay
  EXPECT_EQ(Ask("SELECT 1"), "1 | ");
}

TEST_F(SqlDoorTest, RowsAreMadeWhileTheyAreRead) {
  const auto rows = door_->Query({.text = "SELECT * FROM range(1000000000000)"});
  ASSERT_TRUE(rows.ok()) << rows.status();
  int64_t count = 0;
  while (count < 1'000'000) {
    const auto batch = (*rows)->Next();
    ASSERT_TRUE(batch.ok()) << batch.status();
    count += (*batch)->num_rows();
  }
}

TEST_F(SqlDoorTest, ManyThreads) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(Ask("SELECT count(*), sum(score) FROM docs WHERE id < 1000"), "1000 499500 | ");
      }
    });
  }
  threads.clear();
  EXPECT_EQ(Ask("SELECT 1"), "1 | ");
}

}  // namespace
}  // namespace fletching::sql
