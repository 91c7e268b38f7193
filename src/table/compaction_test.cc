// What merging segments must not change, seen from a table without an engine.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "io/fault_file_system.h"
#include "table/test_table.h"

namespace fletching::table {
namespace {

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Ids(int64_t first, int64_t count) {
  Ints ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(first + i);
  return ArrayOf(arrow::int64(), ids);
}

std::shared_ptr<arrow::Array> Values(int64_t count, std::optional<int64_t> value) {
  return ArrayOf(arrow::int32(), Ints(static_cast<size_t>(count), value));
}

TEST(Compaction, ShowsTheLatestOfSeveralRowsOfAKey) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  for (int64_t value = 1; value <= 3; ++value) {
    ASSERT_TRUE(table->Flush().ok());
    ASSERT_TRUE(table.Write({Ids(1, 1), Values(1, value)}).ok());
    ASSERT_TRUE(table.Write({Ids(value * 10, 1), Values(1, value)}).ok());
  }
  const auto expect_latest = [&] {
    EXPECT_EQ(table.Show(Ids(1, 1)), "3 | ");
    EXPECT_EQ(table.Show(ArrayOf(arrow::int64(), {10, 1, 11})), "1 | 3 | missing | ");
    EXPECT_EQ(table.ShowAll(), "1 3 | 10 1 | 20 2 | 30 3 | ");
  };
  EXPECT_EQ(table->Info().segment_count, 2);
  expect_latest();
  ASSERT_TRUE(table.Open().ok());
  expect_latest();
  ASSERT_TRUE(table->Flush().ok());
  expect_latest();
  ASSERT_TRUE(table.Open().ok());
  expect_latest();
  ASSERT_TRUE(table->Compact().ok());
  EXPECT_EQ(table->Info().segment_count, 1);
  EXPECT_EQ(table->Info().row_count, 4);
  expect_latest();
}

TEST(Compaction, KeepsADeletionWhoseRowIsInASegmentNotMergedAlong) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  ASSERT_TRUE(table.Write({Ids(1000, 6000), Values(6000, 7)}).ok());
  ASSERT_TRUE(table->Flush().ok());
  ASSERT_TRUE(table.Write({Ids(1, 1), Values(1, 5)}).ok());
  ASSERT_TRUE(table->Flush().ok());
  ASSERT_TRUE(table.Delete(Ids(1000, 9)).ok());
  ASSERT_TRUE(table->Flush().ok());
  ASSERT_TRUE(table->Maintain().ok());
  ASSERT_EQ(table->Info().segment_count, 2);  // the newer two are one
  EXPECT_EQ(table.Show(ArrayOf(arrow::int64(), {1, 1000, 1009})), "5 | missing | 7 | ");
}

TEST(Compaction, TakesDeletedRowsForNoValues) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  // An old segment too large to be merged along, so that deletions stay.
  ASSERT_TRUE(table.Write({Ids(1000, 6000), Values(6000, 7)}).ok());
  ASSERT_TRUE(table->Flush().ok());
  // Nine nulls; then one value and nine deletions in a segment without a null.
  ASSERT_TRUE(table.Write({Ids(0, 9), Values(9, std::nullopt)}).ok());
  ASSERT_TRUE(table->Flush().ok());
  ASSERT_TRUE(table.Write({Ids(20, 1), Values(1, 5)}).ok());
  ASSERT_TRUE(table.Delete(Ids(30, 9)).ok());
  ASSERT_TRUE(table->Flush().ok());
  ASSERT_TRUE(table->Maintain().ok());
  ASSERT_EQ(table->Info().segment_count, 2);
  EXPECT_EQ(table.Show(Ids(8, 1)), "null | ");
  ASSERT_TRUE(table->Compact().ok());
  EXPECT_EQ(table.Show(Ids(8, 1)), "null | ");
  EXPECT_EQ(table.Show(Ids(20, 1)), "5 | ");
  EXPECT_EQ(table.Show(Ids(30, 1)), "missing | ");
}

TEST(Compaction, MergesDeletionsBesideListsThatAreNeverNull) {
  TableSchema schema = Numbers();
  schema.columns[1].type = arrow::list(arrow::int32());
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  ASSERT_TRUE(table.Write({Ids(1000, 6000), ArrayOfLists(6000, 2)}).ok());
  ASSERT_TRUE(table->Flush().ok());
  for (int64_t round = 0; round < 3; ++round) {
    ASSERT_TRUE(table.Write({Ids(round, 1), ArrayOfLists(1, 1)}).ok());
    ASSERT_TRUE(table.Delete(Ids(100 + round, 1)).ok());
    ASSERT_TRUE(table->Flush().ok());
    const Status merged = table->Maintain();
    ASSERT_TRUE(merged.ok()) << merged;
  }
  ASSERT_EQ(table->Info().segment_count, 2);
  EXPECT_EQ(table.Show(Ids(2, 1)), "[1,] | ");
}

TEST(Compaction, KeepsADeletionThatBeatsEventsStillToCome) {
  TableSchema schema = Numbers();
  schema.columns.push_back({.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MICRO)});
  schema.event_time = "at";
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  const auto at = [](int64_t micros) {
    return ArrayOf(arrow::timestamp(arrow::TimeUnit::MICRO), {micros});
  };
  ASSERT_TRUE(table.Write({Ids(1, 1), Values(1, 1), at(100)}).ok());
  ASSERT_TRUE(table.Delete(Ids(1, 1), 200).ok());
  ASSERT_TRUE(table->Compact().ok());
  ASSERT_TRUE(table.Write({Ids(1, 1), Values(1, 2), at(150)}).ok());
  EXPECT_EQ(table.Show(Ids(1, 1)), "missing | ");
  EXPECT_EQ(table.ShowAll(), "");
  ASSERT_TRUE(table.Write({Ids(1, 1), Values(1, 3), at(201)}).ok());
  EXPECT_NE(table.Show(Ids(1, 1)), "missing | ");
}

TEST(Compaction, DropsADeletionThatHasExpired) {
  TableSchema schema = Numbers();
  schema.columns.push_back({.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MICRO)});
  schema.event_time = "at";
  schema.ttl_ms = 1;
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  ASSERT_TRUE(table.Delete(Ids(1, 3)).ok());
  ASSERT_TRUE(table->Compact().ok());
  EXPECT_EQ(table->Info().segment_count, 1);
  table.clock.now_us += 1001;
  ASSERT_TRUE(table->Compact().ok());
  EXPECT_EQ(table->Info().segment_count, 0);
}

}  // namespace
}  // namespace fletching::table
