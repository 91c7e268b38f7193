// When rows stop to count, at the ends of time too.
#include <limits>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "table/test_table.h"

namespace fletching::table {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TableSchema Timed(arrow::TimeUnit::type unit, int64_t ttl_ms) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "at", .type = arrow::timestamp(unit)}};
  schema.key = {"id"};
  schema.event_time = "at";
  schema.ttl_ms = ttl_ms;
  return schema;
}

TEST(Expiry, CountsFromEventTimesAsFarAsTheyGo) {
  for (const auto unit : {arrow::TimeUnit::SECOND, arrow::TimeUnit::MILLI, arrow::TimeUnit::MICRO,
                          arrow::TimeUnit::NANO}) {
    const TableSchema schema = Timed(unit, 1000);
    io::SimFileSystem disk;
    TestTable table(&disk, schema);
    ASSERT_TRUE(table
                    .Write({ArrayOf(arrow::int64(), {1, 2, 3, 4}),
                            ArrayOf(schema.columns[1].type, {kMin, kMax, kMax / 1000, kMin + 1})})
                    .ok());
    for (int round = 0; round < 2; ++round) {
      const std::string shown = table.Show(ArrayOf(arrow::int64(), {1, 2, 3, 4}));
      EXPECT_TRUE(shown.starts_with("missing | ")) << shown;
      EXPECT_TRUE(shown.ends_with("missing | ")) << shown;
      EXPECT_EQ(shown.find("missing | missing"), std::string::npos) << shown;
      ASSERT_TRUE(table->Compact().ok());
    }
  }
}

TEST(Expiry, TakesDeletionsAtAnyTime) {
  for (const auto unit : {arrow::TimeUnit::SECOND, arrow::TimeUnit::NANO}) {
    const TableSchema schema = Timed(unit, 0);
    io::SimFileSystem disk;
    TestTable table(&disk, schema);
    const auto id = ArrayOf(arrow::int64(), {1});
    ASSERT_TRUE(table.Write({id, ArrayOf(schema.columns[1].type, {5})}).ok());
    ASSERT_TRUE(table.Delete(id, kMin).ok());
    EXPECT_NE(table.Show(id), "missing | ");
    ASSERT_TRUE(table.Delete(id, kMax).ok());
    EXPECT_EQ(table.Show(id), "missing | ");
  }
}

TEST(Expiry, NeverComesWithTheLongestTtl) {
  const TableSchema schema = Timed(arrow::TimeUnit::SECOND, kMax);
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  const auto id = ArrayOf(arrow::int64(), {1});
  ASSERT_TRUE(table.Write({id, ArrayOf(schema.columns[1].type, {-1})}).ok());
  EXPECT_NE(table.Show(id), "missing | ");
}

TEST(Expiry, CountsFromTheCommitWithoutEventTimes) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()}};
  schema.key = {"id"};
  schema.ttl_ms = 10;
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  const auto one = ArrayOf(arrow::int64(), {1});
  const auto two = ArrayOf(arrow::int64(), {2});
  ASSERT_TRUE(table.Write({one, ArrayOf(arrow::int32(), {1})}).ok());
  table.clock.now_us += 6'000;
  ASSERT_TRUE(table.Write({two, ArrayOf(arrow::int32(), {2})}).ok());
  table.clock.now_us += 4'000;
  EXPECT_EQ(table.ShowAll(), "1 1 | 2 2 | ");  // ten milliseconds are not more than ten
  table.clock.now_us += 1;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(table.ShowAll(), "2 2 | ") << round;
    EXPECT_EQ(table.Show(one), "missing | ") << round;
    ASSERT_TRUE(round == 0 ? table->Flush().ok() : table->Compact().ok());
  }
  EXPECT_EQ(table->Info().row_count, 1);  // the expired one is gone from the disk
  // A patch of a row that has expired begins a new one.
  table.clock.now_us += 20'000;
  ASSERT_TRUE(table.Write({two}, WriteMode::kPatch).ok());
  EXPECT_EQ(table.ShowAll(), "2 null | ");
}

}  // namespace
}  // namespace fletching::table
