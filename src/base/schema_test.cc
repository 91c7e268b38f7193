#include "fletching/schema.h"

#include "arrow/type.h"
#include <gtest/gtest.h>

namespace fletching {
namespace {

TableSchema Docs() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "score", .type = arrow::float32()},
                    {.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MICRO)}};
  schema.key = {"id"};
  return schema;
}

// The message of the error, or "" when the schema is fine.
std::string Complaint(const TableSchema& schema) {
  const Status status = CheckSchema(schema);
  if (status.ok()) return {};
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidArgument);
  return status.message();
}

TEST(TableSchema, FindsColumnsByName) {
  const TableSchema schema = Docs();
  EXPECT_EQ(schema.Find("score"), &schema.columns[1]);
  EXPECT_EQ(schema.Find("Score"), nullptr);
  EXPECT_TRUE(schema.IsKey("id"));
  EXPECT_FALSE(schema.IsKey("score"));
  EXPECT_EQ(schema.ValueColumnNames(), (std::vector<std::string>{"score", "at"}));
}

TEST(CheckSchema, AcceptsCompositeKeysEventTimeAndTtl) {
  TableSchema schema = Docs();
  schema.columns.push_back({.name = "hour", .type = arrow::timestamp(arrow::TimeUnit::SECOND)});
  schema.key = {"hour", "id"};
  schema.event_time = "at";
  schema.ttl_ms = 1000;
  EXPECT_EQ(Complaint(schema), "");
}

TEST(CheckSchema, NamesTheColumnThatIsWrong) {
  TableSchema schema = Docs();
  schema.columns[1].name = "ID";
  EXPECT_NE(Complaint(schema).find("column 'ID' is given twice"), std::string::npos);
  schema = Docs();
  schema.columns[1].type = arrow::large_utf8();
  EXPECT_NE(Complaint(schema).find("'score': type large_string"), std::string::npos);
  schema = Docs();
  schema.columns[1].type = nullptr;
  EXPECT_EQ(Complaint(schema), "column 'score' has no type");
  schema = Docs();
  schema.columns[1].name = "_idx";
  EXPECT_NE(Complaint(schema).find("'_idx' is reserved"), std::string::npos);
}

TEST(CheckSchema, RefusesKeysThatCannotBeKeys) {
  TableSchema schema = Docs();
  schema.key = {};
  EXPECT_NE(Complaint(schema), "");
  schema.key = {"nope"};
  EXPECT_EQ(Complaint(schema), "key column 'nope' is not among the columns");
  schema.key = {"id", "id"};
  EXPECT_EQ(Complaint(schema), "key column 'id' is given twice");
  schema.key = {"score"};
  EXPECT_NE(Complaint(schema).find("'score': a key is"), std::string::npos);
}

TEST(CheckSchema, RefusesEventTimesThatAreNone) {
  TableSchema schema = Docs();
  schema.event_time = "when";
  EXPECT_NE(Complaint(schema).find("'when'"), std::string::npos);
  schema.event_time = "score";
  EXPECT_NE(Complaint(schema).find("must be a timestamp, not float32"), std::string::npos);
  schema.event_time = "";
  schema.ttl_ms = -1;
  EXPECT_NE(Complaint(schema).find("ttl"), std::string::npos);
}

TEST(CheckName, AcceptsPlainNames) {
  for (const char* name : {"a", "_x", "9lives", "user.name", "a-b", "A_B.c-1"}) {
    EXPECT_TRUE(CheckName("table", name).ok()) << name;
  }
  EXPECT_TRUE(CheckName("table", std::string(128, 'a')).ok());
  EXPECT_TRUE(CheckName("table", "_idx").ok());
}

TEST(CheckName, RefusesPathsAndStrangeLetters) {
  for (const char* name : {"", "..", ".", ".hidden", "-x", "a/b", "../a", "a b", "a\n", "\xC3\xA9",
                           "a\\b", "a:b", "a%2e"}) {
    const Status status = CheckName("table", name);
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidArgument);
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
  }
  EXPECT_FALSE(CheckName("table", std::string("a\0b", 3)).ok());
  EXPECT_FALSE(CheckName("table", std::string(129, 'a')).ok());
  EXPECT_LT(CheckName("table", std::string(1 << 20, 'a')).message().size(), 200u);
}

TEST(CheckKeyType, AcceptsWhatComparesByBytes) {
  for (const auto& type : {arrow::utf8(), arrow::binary(), arrow::int8(), arrow::uint64(),
                           arrow::date32(), arrow::timestamp(arrow::TimeUnit::NANO)}) {
    EXPECT_TRUE(CheckKeyType(*type).ok()) << type->ToString();
  }
  for (const auto& type : {arrow::float64(), arrow::boolean(), arrow::list(arrow::int8()),
                           arrow::time64(arrow::TimeUnit::MICRO), arrow::large_utf8()}) {
    EXPECT_EQ(CodeOf(CheckKeyType(*type)), ErrorCode::kUnsupported) << type->ToString();
  }
}

TEST(IsWidening, NeverLosesAValue) {
  using arrow::Type;
  EXPECT_TRUE(IsWidening(*arrow::utf8(), *arrow::utf8()));
  EXPECT_TRUE(IsWidening(*arrow::int8(), *arrow::int64()));
  EXPECT_TRUE(IsWidening(*arrow::uint8(), *arrow::int16()));
  EXPECT_TRUE(IsWidening(*arrow::uint32(), *arrow::int64()));
  EXPECT_TRUE(IsWidening(*arrow::float16(), *arrow::float64()));
  EXPECT_TRUE(IsWidening(*arrow::float32(), *arrow::float64()));
  EXPECT_TRUE(IsWidening(*arrow::int16(), *arrow::float32()));
  EXPECT_TRUE(IsWidening(*arrow::uint32(), *arrow::float64()));

  EXPECT_FALSE(IsWidening(*arrow::int64(), *arrow::int32()));
  EXPECT_FALSE(IsWidening(*arrow::int8(), *arrow::uint64()));
  EXPECT_FALSE(IsWidening(*arrow::uint8(), *arrow::int8()));
  EXPECT_FALSE(IsWidening(*arrow::uint64(), *arrow::int64()));
  EXPECT_FALSE(IsWidening(*arrow::int32(), *arrow::float32()));
  EXPECT_FALSE(IsWidening(*arrow::int64(), *arrow::float64()));
  EXPECT_FALSE(IsWidening(*arrow::float64(), *arrow::float32()));
  EXPECT_FALSE(IsWidening(*arrow::float32(), *arrow::int64()));
  EXPECT_FALSE(IsWidening(*arrow::boolean(), *arrow::int8()));
  EXPECT_FALSE(IsWidening(*arrow::date32(), *arrow::int64()));
  EXPECT_FALSE(IsWidening(*arrow::int32(), *arrow::utf8()));
  EXPECT_FALSE(IsWidening(*arrow::timestamp(arrow::TimeUnit::SECOND),
                          *arrow::timestamp(arrow::TimeUnit::MICRO)));
}

}  // namespace
}  // namespace fletching
