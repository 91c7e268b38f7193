// A reader that is told to look again.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "engine/test_model.h"
#include "io/test_folder.h"

namespace fletching::engine {
namespace {

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "v", .type = arrow::int64()}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Ints(std::vector<int64_t> values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

void Write(Engine* engine, const std::string& table, int64_t id, int64_t v) {
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", arrow::int64())});
  const auto reader =
      arrow::RecordBatchReader::Make({arrow::RecordBatch::Make(schema, 1, {Ints({id}), Ints({v})})})
          .ValueOrDie();
  ASSERT_TRUE(engine->Write({.table = table}, reader.get()).ok());
  ASSERT_TRUE(engine->Flush(table).ok());
}

std::string ValueOf(const Engine& engine, const std::string& table, int64_t id) {
  const auto result = engine.Read({.table = table, .keys = {Ints({id})}});
  if (!result.ok()) return result.status().message();
  return CellOf(*result->batch->column(0), 0).value_or("null");
}

TEST(Refresh, ShowsNewVersionsTablesAndDrops) {
  const io::TestFolder folder;
  const auto writer = Engine::Open({.data_dir = folder / "data"}).ValueOrDie();
  ASSERT_TRUE(writer->CreateTable("a", Numbers()).ok());
  Write(writer.get(), "a", 1, 10);
  const auto reader =
      Engine::Open(
          {.data_dir = folder / "data", .mode = OpenMode::kReadOnly, .follow_interval_ms = 0})
          .ValueOrDie();
  EXPECT_EQ(ValueOf(*reader, "a", 1), "i10");
  const auto pinned = reader->Scan({.table = "a"}).ValueOrDie();

  Write(writer.get(), "a", 1, 11);
  ASSERT_TRUE(writer->CreateTable("b", Numbers()).ok());
  Write(writer.get(), "b", 1, 20);
  EXPECT_EQ(ValueOf(*reader, "a", 1), "i10");
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(ValueOf(*reader, "a", 1), "i11");
  EXPECT_EQ(ValueOf(*reader, "b", 1), "i20");

  ASSERT_TRUE(writer->DropTable("b").ok());
  ASSERT_TRUE(reader->Refresh().ok());
  EXPECT_EQ(ValueOf(*reader, "b", 1), "table 'b' does not exist");
  // What was begun before goes on with what it saw.
  const auto batch = pinned->Next().ValueOrDie();
  EXPECT_EQ(CellOf(*batch->GetColumnByName("v"), 0), "i10");
  ASSERT_TRUE(writer->Refresh().ok());  // nothing to do for a writer
}

}  // namespace
}  // namespace fletching::engine
