#include "api/flight/table_schema.h"

#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"
#include <gtest/gtest.h>

namespace fletching::flight {
namespace {

TEST(TableSchema, ShowsColumnsAsDeclaredAndNamesTheKey) {
  TableSchema table;
  table.columns = {{.name = "v", .type = arrow::float32()},
                   {.name = "k", .type = arrow::utf8()},
                   {.name = "w", .type = arrow::int8(), .nullable = false}};
  table.key = {"k"};
  const auto schema = ArrowSchemaOf(table);
  EXPECT_TRUE(schema->Equals(
      *arrow::schema({arrow::field("v", arrow::float32()), arrow::field("k", arrow::utf8(), false),
                      arrow::field("w", arrow::int8(), false)})));
  EXPECT_EQ(*schema->metadata()->Get("key"), "k");
}

TEST(TableSchema, ListsTheKeyWhenItHasSeveralColumns) {
  TableSchema table;
  table.columns = {{.name = "a", .type = arrow::utf8()}, {.name = "b", .type = arrow::int8()}};
  table.key = {"b", "a"};
  EXPECT_EQ(*ArrowSchemaOf(table)->metadata()->Get("key"), R"(["b","a"])");
}

}  // namespace
}  // namespace fletching::flight
