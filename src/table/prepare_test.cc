// What a batch or a list of keys has to be before anything of it is stored or looked for.
#include "table/prepare.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "table/test_table.h"

namespace fletching::table {
namespace {

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()},
                    {.name = "count", .type = arrow::int32(), .nullable = false}};
  schema.key = {"id"};
  return schema;
}

struct NamedColumn {
  std::string name;
  std::shared_ptr<arrow::Array> values;
};

std::shared_ptr<arrow::RecordBatch> BatchOf(const std::vector<NamedColumn>& columns) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (const NamedColumn& column : columns) {
    fields.push_back(arrow::field(column.name, column.values->type()));
    arrays.push_back(column.values);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), 2, arrays);
}

std::shared_ptr<arrow::Array> Values(const Ints& values) { return ArrayOf(arrow::int32(), values); }
std::shared_ptr<arrow::Array> Ids(const Ints& values) { return ArrayOf(arrow::int64(), values); }

Status Prepare(const std::vector<NamedColumn>& columns, WriteMode mode = WriteMode::kReplace,
               bool ignore_extra_columns = false) {
  const auto state = TableState::Make(Numbers(), 1, 3);
  return PrepareBatch(*state, PlainCaster(), *BatchOf(columns), mode, ignore_extra_columns, 0)
      .status();
}

void ExpectRefused(const Status& status, const std::string& part,
                   ErrorCode code = ErrorCode::kSchemaMismatch) {
  ASSERT_FALSE(status.ok()) << part;
  EXPECT_EQ(CodeOf(status), code) << status;
  EXPECT_NE(status.message().find(part), std::string::npos) << status;
}

const NamedColumn kId = {"id", Ids({1, 2})};
const NamedColumn kValue = {"value", Values({1, std::nullopt})};
const NamedColumn kCount = {"count", Values({3, 4})};

TEST(Prepare, TakesColumnsInAnyOrder) {
  EXPECT_TRUE(Prepare({kId, kValue, kCount}).ok());
  EXPECT_TRUE(Prepare({kCount, kId, kValue}).ok());
}

TEST(Prepare, RefusesAColumnThatOccursTwice) {
  for (const NamedColumn& twice : {kId, kValue, kCount}) {
    ExpectRefused(Prepare({kId, kValue, kCount, twice}),
                  "column '" + twice.name + "' occurs twice in the batch");
  }
  const NamedColumn extra = {"extra", Values({1, 2})};
  EXPECT_TRUE(Prepare({kId, kValue, kCount, extra}, WriteMode::kReplace, true).ok());
  ExpectRefused(Prepare({kId, kValue, kCount, extra, extra}, WriteMode::kReplace, true),
                "column 'extra' occurs twice in the batch");
}

TEST(Prepare, RefusesNullsWhereNoneMayBe) {
  ExpectRefused(Prepare({{"id", Ids({1, std::nullopt})}, kValue, kCount}),
                "column 'id' has a null in row 1");
  ExpectRefused(Prepare({kId, kValue, {"count", Values({std::nullopt, 4})}}),
                "column 'count' has a null in row 0");
}

TEST(Prepare, RefusesAColumnThatIsMissingOrForeign) {
  ExpectRefused(Prepare({kId, kCount}), "column 'value' is missing");
  ExpectRefused(Prepare({kValue, kCount}), "key column 'id' is missing");
  ExpectRefused(Prepare({kValue}, WriteMode::kPatch), "key column 'id' is missing");
  EXPECT_TRUE(Prepare({kId, kCount}, WriteMode::kPatch).ok());
  ExpectRefused(Prepare({kId, kValue, kCount, {"extra", Values({1, 2})}}),
                "column 'extra' is not in the table's schema");
}

TEST(Prepare, RefusesKeysToLookForThatAreNull) {
  const auto state = TableState::Make(Numbers(), 1, 3);
  EXPECT_TRUE(PrepareKeys(*state, PlainCaster(), {Ids({1, 2})}).ok());
  ExpectRefused(PrepareKeys(*state, PlainCaster(), {Ids({1, std::nullopt})}).status(),
                "key column 'id' has nulls", ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fletching::table
