// DuckDB as it is reached here: rows in and out, parameters, limits, and what it must not reach.
#include "duck/duck_database.h"

#include <chrono>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

namespace fletching::duck {
namespace {

constexpr int64_t kRows = 10'000;

std::shared_ptr<arrow::Table> Numbers() {
  arrow::Int64Builder ids;
  arrow::FloatBuilder scores;
  arrow::StringBuilder names;
  arrow::ListBuilder tags(arrow::default_memory_pool(), std::make_shared<arrow::StringBuilder>());
  auto& tag = static_cast<arrow::StringBuilder&>(*tags.value_builder());
  for (int64_t i = 0; i < kRows; ++i) {
    EXPECT_TRUE(ids.Append(i).ok());
    EXPECT_TRUE((i % 7 == 0 ? scores.AppendNull() : scores.Append(static_cast<float>(i) / 2)).ok());
    EXPECT_TRUE(names.Append("a name that is too long to be inlined " + std::to_string(i)).ok());
    EXPECT_TRUE(tags.Append().ok());
    for (int64_t t = 0; t < i % 3; ++t) EXPECT_TRUE(tag.Append("t" + std::to_string(t)).ok());
  }
  return arrow::Table::Make(
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("score", arrow::float32()),
                     arrow::field("name", arrow::utf8()),
                     arrow::field("tags", arrow::list(arrow::utf8()))}),
      {ids.Finish().ValueOrDie(), scores.Finish().ValueOrDie(), names.Finish().ValueOrDie(),
       tags.Finish().ValueOrDie()});
}

class TableSource final : public RowSource {
 public:
  explicit TableSource(std::shared_ptr<arrow::Table> table) : table_(std::move(table)) {}
  const std::shared_ptr<arrow::Schema>& schema() const override { return table_->schema(); }
  int64_t row_count_guess() const override { return table_->num_rows(); }
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const std::vector<int>& columns) const override {
    last_columns = columns;
    if (!failure.ok()) return failure;
    ARROW_ASSIGN_OR_RAISE(const auto wanted, table_->SelectColumns(columns));
    auto reader = std::make_shared<arrow::TableBatchReader>(wanted);
    reader->set_chunksize(3000);  // not a multiple of what DuckDB takes
    return reader;
  }
  mutable std::vector<int> last_columns;
  Status failure = Status::OK();

 private:
  const std::shared_ptr<arrow::Table> table_;
};

class DuckDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    auto database = DuckDatabase::Open({});
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *database;
    connection_ = database_->Connect().ValueOrDie();
    const Status added = connection_->AddTable("numbers", source_);
    ASSERT_TRUE(added.ok()) << added;
  }
  Result<std::shared_ptr<arrow::Table>> Ask(const std::string& text,
                                            const QueryParameters& parameters = {}) {
    ARROW_ASSIGN_OR_RAISE(const auto rows, connection_->Query(text, parameters));
    return rows->ToTable();
  }
  std::string One(const std::string& text, const QueryParameters& parameters = {}) {
    const auto table = Ask(text, parameters);
    if (!table.ok()) return table.status().message();
    if ((*table)->num_rows() != 1) return std::to_string((*table)->num_rows()) + " rows";
    return (*table)->column(0)->GetScalar(0).ValueOrDie()->ToString();
  }

  const std::shared_ptr<TableSource> source_ = std::make_shared<TableSource>(Numbers());
  std::shared_ptr<DuckDatabase> database_;
  std::shared_ptr<DuckConnection> connection_;
};

TEST_F(DuckDatabaseTest, RowsComeBackAsTheyWere) {
  const auto table = Ask("SELECT * FROM numbers");
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ((*table)->num_rows(), kRows);
  EXPECT_TRUE((*table)->CombineChunks().ValueOrDie()->Equals(*Numbers()))
      << (*table)->schema()->ToString();
}

TEST_F(DuckDatabaseTest, OnlyWhatIsWantedIsScanned) {
  EXPECT_EQ(One("SELECT sum(id) FROM numbers WHERE score IS NULL"), "7142142");
  EXPECT_EQ(source_->last_columns.size(), 2U);
  EXPECT_EQ(One("SELECT count(*) FROM numbers"), "10000");
  EXPECT_EQ(source_->last_columns.size(), 1U);
  EXPECT_EQ(One("SELECT count(*) FROM numbers a JOIN numbers b USING (id)"), "10000");
}

TEST_F(DuckDatabaseTest, Parameters) {
  EXPECT_EQ(One("SELECT name FROM numbers WHERE id = $1", {{"1", {int64_t{12}}}}),
            "a name that is too long to be inlined 12");
  EXPECT_EQ(One("SELECT count(*) FROM numbers WHERE score > $least AND id < ?1",
                {{"least", {10.0}}, {"1", {int64_t{100}}}}),
            "Not implemented Error: Mixing named and positional parameters is not supported yet");
  const QueryList ids{{int64_t{1}}, {int64_t{2}}, {std::monostate()}, {int64_t{20'000}}};
  EXPECT_EQ(One("SELECT count(*) FROM numbers WHERE id IN (SELECT unnest($ids))", {{"ids", {ids}}}),
            "2");
  EXPECT_EQ(One("SELECT $1 || 'x'", {{"1", {std::string("'; DROP")}}}), "'; DROPx");
  EXPECT_EQ(One("SELECT $1 IS NULL", {{"1", {}}}), "true");
  EXPECT_EQ(One("SELECT $1", {{"1", {QueryList{{true}, {int64_t{1}}}}}}),
            "a list of parameters has members of one type, and no lists");
  EXPECT_EQ(One("SELECT $1"), "the statement has 1 parameters, 0 are given");
  EXPECT_EQ(One("SELECT $a", {{"b", {true}}}), "the statement has no parameter $b");
}

TEST_F(DuckDatabaseTest, ErrorsAreInItsWords) {
  EXPECT_TRUE(One("SELEC 1").starts_with("Parser Error: syntax error"));
  EXPECT_TRUE(One("SELECT nothing FROM numbers").starts_with("Binder Error"));
  EXPECT_EQ(One("SELECT 1; SELECT 2"), "one statement at a time, please");
  EXPECT_EQ(One(""), "there is no statement");
  EXPECT_TRUE(One("SELECT 'x'::INT + id FROM numbers").starts_with("Conversion Error"));
  EXPECT_TRUE(One("SELECT * FROM fletching_rows(99::UBIGINT)")
                  .starts_with("Binder Error: these rows are not shared"));
}

TEST_F(DuckDatabaseTest, AScanThatFailsIsTheQuerysFailure) {
  source_->failure = Corruption("segment", 4096, "block checksum differs");
  EXPECT_NE(One("SELECT max(id) FROM numbers").find("block checksum differs"), std::string::npos);
}

TEST_F(DuckDatabaseTest, NothingOutsideIsReached) {
  for (const char* const text :
       {"SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM '/etc/passwd'",
        "COPY numbers TO '/tmp/x.csv'", "ATTACH '/tmp/x.db'", "INSTALL httpfs",
        "SELECT * FROM glob('/*')", "SET threads = 9", "SET enable_external_access = true",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')", "LOAD '/tmp/x.duckdb_extension'"}) {
    const auto table = Ask(text);
    EXPECT_FALSE(table.ok()) << text;
  }
}

TEST_F(DuckDatabaseTest, AnInterruptEndsWhatRuns) {
  std::jthread other([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    connection_->Interrupt();
  });
  const auto table = Ask("SELECT sum(a.id * b.id + c.id) FROM numbers a, numbers b, numbers c");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(CodeOf(table.status()), ErrorCode::kCancelled) << table.status();
  EXPECT_EQ(One("SELECT 1"), "1");  // and the connection goes on
}

TEST_F(DuckDatabaseTest, MemoryHasALimit) {
  const auto small = DuckDatabase::Open({.memory_bytes_max = 20 << 20}).ValueOrDie();
  connection_ = small->Connect().ValueOrDie();
  const Status added = connection_->AddTable("numbers", source_);
  ASSERT_TRUE(added.ok()) << added;
  const auto table = Ask("SELECT list(a.name || b.id) FROM numbers a, numbers b");
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(CodeOf(table.status()), ErrorCode::kTooLarge) << table.status();
}

TEST_F(DuckDatabaseTest, ConnectionsDoNotSeeEachOther) {
  const auto other = database_->Connect().ValueOrDie();
  EXPECT_FALSE(other->Query("SELECT * FROM numbers", {}).ok());
  ASSERT_TRUE(other->AddTable("num\"bers; --", source_).ok());
  const auto rows = other->Query("SELECT count(*) FROM \"num\"\"bers; --\"", {});
  ASSERT_TRUE(rows.ok()) << rows.status();
}

TEST(DuckLibrary, WhatIsMissingIsSaid) {
  // Another library than DuckDB, and none at all; what was loaded before stays.
  if (DuckApi::Load("").ok()) return;
  const auto none = DuckApi::Load("/nowhere/libduckdb.so");
  EXPECT_NE(none.status().message().find("pip install duckdb==1.5.5"), std::string::npos);
}

}  // namespace
}  // namespace fletching::duck
