// Replacing all rows of a table at once, and taking that back.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "format/file_names.h"
#include "io/fault_file_system.h"
#include "table/test_table.h"
#include "table/verify.h"

namespace fletching::table {
namespace {

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()}};
  schema.key = {"id"};
  return schema;
}

// Keys 0 to count - 1, each with `value`, in batches of `batch_rows`.
std::shared_ptr<arrow::RecordBatchReader> Rows(int64_t count, int64_t value,
                                               int64_t batch_rows = 1000) {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("value", arrow::int32())});
  arrow::RecordBatchVector batches;
  for (int64_t first = 0; first < count; first += batch_rows) {
    Ints ids;
    for (int64_t i = first; i < std::min(count, first + batch_rows); ++i) ids.push_back(i);
    const auto values = ArrayOf(arrow::int32(), Ints(ids.size(), value));
    batches.push_back(
        arrow::RecordBatch::Make(schema, values->length(), {ArrayOf(arrow::int64(), ids), values}));
  }
  return arrow::RecordBatchReader::Make(batches, schema).ValueOrDie();
}

Result<WriteResult> Load(TestTable* table, const std::string& generation, int64_t count,
                         int64_t value, int32_t segment_count = 1, double min_rows_ratio = 0) {
  ReplaceRequest request{.generation = generation, .schema = Numbers()};
  request.segment_count = segment_count;
  request.min_rows_ratio = min_rows_ratio;
  return (*table)->Replace(request, Rows(count, value).get());
}

std::shared_ptr<arrow::Array> Ids(const Ints& ids) { return ArrayOf(arrow::int64(), ids); }

void ExpectSound(io::FileSystem* disk) {
  VerifyReport report;
  ASSERT_TRUE(VerifyTable(disk, TestTable::kFolder, &report).ok());
  EXPECT_EQ(report.damage, std::vector<std::string>{});
  EXPECT_EQ(report.orphans, std::vector<std::string>{});
}

TEST(Generation, ReplacesEverythingAndComesBack) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  ASSERT_TRUE(Load(&table, "monday", 3, 1).ok());
  EXPECT_EQ(table->RollBack().message(), "table 't' keeps no earlier generation");
  ASSERT_TRUE(Load(&table, "tuesday", 2, 2).ok());
  const auto expect_tuesday = [&] {
    EXPECT_EQ(table.ShowAll(), "0 2 | 1 2 | ");
    EXPECT_EQ(table->Info().generation->name, "tuesday");
    EXPECT_EQ(table->Info().generation->previous, "monday");
    ExpectSound(&disk);
  };
  expect_tuesday();
  ASSERT_TRUE(table.Open().ok());
  expect_tuesday();
  ASSERT_TRUE(table->RollBack().ok());
  const auto expect_monday = [&] {
    EXPECT_EQ(table.ShowAll(), "0 1 | 1 1 | 2 1 | ");
    EXPECT_EQ(table->Info().generation->name, "monday");
    EXPECT_EQ(table->Info().generation->rejected, "tuesday");
    ExpectSound(&disk);
  };
  expect_monday();
  ASSERT_TRUE(table.Open().ok());
  expect_monday();
  ASSERT_TRUE(table->RollBack().ok());
  expect_tuesday();
  ASSERT_TRUE(Load(&table, "wednesday", 1, 3).ok());
  EXPECT_EQ(table.ShowAll(), "0 3 | ");
  EXPECT_EQ(FilesOf(&disk, TestTable::kFolder, format::kSegmentEnding).size(),
            2u);  // monday's are gone
}

TEST(Generation, TakesNoOtherWrites) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  ASSERT_TRUE(table.Write({Ids({7}), ArrayOf(arrow::int32(), {7})}).ok());
  ASSERT_TRUE(Load(&table, "monday", 1, 1).ok());
  const std::string refused =
      "table 't' is loaded as a whole (generation monday) and takes no other writes; write where "
      "it is loaded from";
  EXPECT_EQ(table.Write({Ids({7}), ArrayOf(arrow::int32(), {7})}).status().message(), refused);
  EXPECT_EQ(table.Delete(Ids({7})).status().message(), refused);
  EXPECT_EQ(table->AddColumn({.name = "new", .type = arrow::int8()}).message(), refused);
  // What was written before, in memory even, is what a rollback brings.
  ASSERT_TRUE(table->RollBack().ok());
  EXPECT_EQ(table.ShowAll(), "7 7 | ");
  EXPECT_TRUE(table.Write({Ids({8}), ArrayOf(arrow::int32(), {8})}).ok());
  ASSERT_TRUE(table.Open().ok());
  EXPECT_EQ(table.ShowAll(), "7 7 | 8 8 | ");
}

TEST(Generation, SpreadsRowsOverSegmentsWhichStay) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  ASSERT_TRUE(Load(&table, "monday", 5000, 1, 8).ok());
  EXPECT_EQ(table->Info().segment_count, 8);
  EXPECT_EQ(table->Info().row_count, 5000);
  ASSERT_TRUE(table->Maintain().ok());
  EXPECT_EQ(table->Info().segment_count, 8);
  EXPECT_EQ(table.Show(Ids({0, 4999, 5000})), "1 | 1 | missing | ");
}

// A look-up asks one segment a key; what it finds must be what asking all of them finds.
TEST(Generation, FindsEveryKeyInItsPartition) {
  for (const int32_t segment_count : {2, 3, 8, 64}) {
    io::SimFileSystem disk;
    TestTable table(&disk, Numbers());
    ASSERT_TRUE(Load(&table, "monday", 1000, 1, segment_count).ok());
    const auto expect_all = [&] {
      Ints ids;
      std::string expected;
      for (int64_t id = 1100; id-- > 0;) {  // the last hundred are not there, one key twice
        ids.insert(ids.end(), {id, id});
        expected += id < 1000 ? "1 | 1 | " : "missing | missing | ";
      }
      EXPECT_EQ(table.Show(Ids(ids)), expected) << segment_count;
    };
    expect_all();
    ASSERT_TRUE(table.Open().ok());
    expect_all();
    ASSERT_TRUE(table->Compact().ok());  // one segment, which is no partition
    expect_all();
    ASSERT_TRUE(table.Open().ok());
    expect_all();
    ASSERT_TRUE(Load(&table, "tuesday", 1000, 1, 5).ok());
    expect_all();
    ASSERT_TRUE(table->RollBack().ok());
    expect_all();
  }
}

TEST(Generation, KeepsTheLastRowOfAKeyInEverySegmentCount) {
  for (const int32_t segment_count : {1, 3}) {
    io::SimFileSystem disk;
    TestTable table(&disk, Numbers());
    const auto schema = Rows(0, 0)->schema();
    arrow::RecordBatchVector batches;
    for (int64_t value = 0; value < 4; ++value) {
      batches.push_back(Rows(10 - value, value)->Next().ValueOrDie());
    }
    ReplaceRequest request{.generation = "g", .schema = Numbers()};
    request.segment_count = segment_count;
    const auto reader = arrow::RecordBatchReader::Make(batches, schema).ValueOrDie();
    ASSERT_TRUE(table->Replace(request, reader.get()).ok());
    EXPECT_EQ(table.Show(Ids({0, 6, 7, 8, 9})), "3 | 3 | 2 | 1 | 0 | ");
    EXPECT_EQ(table->Info().row_count, 10);
  }
}

TEST(Generation, RefusesToShrinkTooFar) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  ASSERT_TRUE(Load(&table, "monday", 100, 1, 1, 0.5).ok());
  const auto refused = Load(&table, "tuesday", 49, 2, 1, 0.5);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().message(),
            "generation tuesday has 49 rows, where the table has 100; less than min_rows_ratio "
            "allows");
  EXPECT_EQ(table->Info().generation->name, "monday");
  ExpectSound(&disk);
  EXPECT_TRUE(Load(&table, "tuesday", 50, 2, 1, 0.5).ok());
}

TEST(Generation, MayHaveAnotherSchemaAndKey) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  ASSERT_TRUE(Load(&table, "monday", 2, 1).ok());
  TableSchema schema;
  schema.columns = {{.name = "value", .type = arrow::utf8()},
                    {.name = "id", .type = arrow::utf8(), .nullable = false}};
  schema.key = {"id"};
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("value", arrow::utf8()), arrow::field("id", arrow::utf8())}), 1,
      {ArrayOf(Texts{"v"}), ArrayOf(Texts{"k"})});
  const auto reader = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
  ASSERT_TRUE(table->Replace({.generation = "tuesday", .schema = schema}, reader.get()).ok());
  EXPECT_EQ(table.Show(ArrayOf(Texts{"k"})), "v | ");
  ASSERT_TRUE(table.Open().ok());
  EXPECT_EQ(table.Show(ArrayOf(Texts{"k"})), "v | ");
  ASSERT_TRUE(table->RollBack().ok());
  EXPECT_EQ(table.ShowAll(), "0 1 | 1 1 | ");
}

// Whatever call fails, the table is one generation or the other, whole, before and after opening.
TEST(Generation, IsWholeWhateverCallFails) {
  for (const auto effect : {io::FaultEffect::kFail, io::FaultEffect::kFailAfter}) {
    bool fired = true;
    for (uint64_t failing = 1; fired; ++failing) {
      SCOPED_TRACE(testing::Message() << "call " << failing << ", effect " << int(effect));
      io::SimFileSystem disk;
      io::FaultFileSystem faulty(&disk);
      TestTable table(&faulty, Numbers());
      ASSERT_TRUE(Load(&table, "monday", 300, 1, 2).ok());
      faulty.SetPlan({.at = failing, .effect = effect});
      const bool loaded = Load(&table, "tuesday", 200, 2, 2).ok();
      fired = faulty.fired();
      faulty.SetPlan({});
      EXPECT_EQ(table->Info().generation->name, loaded ? "tuesday" : "monday");
      EXPECT_EQ(table->Info().row_count, loaded ? 200 : 300);
      ASSERT_TRUE(table.Open().ok()) << table.opened();
      EXPECT_EQ(table->Info().generation->name, loaded ? "tuesday" : "monday");
      EXPECT_EQ(table.Show(Ids({0, 250})), loaded ? "2 | missing | " : "1 | 1 | ");
      ASSERT_TRUE(Load(&table, "wednesday", 10, 3).ok());
      EXPECT_EQ(table->Info().row_count, 10);
      ASSERT_TRUE(table.Open().ok());
      ExpectSound(&disk);
    }
  }
}

}  // namespace
}  // namespace fletching::table
