#include "api/schema_json.h"

#include <string>

#include "arrow/type.h"
#include <gtest/gtest.h>

namespace fletching::api {
namespace {

std::string Shown(const TableSchema& schema, SchemaEcho echo = SchemaEcho::kCreated) {
  std::string out;
  AppendSchemaJson(&out, schema, echo);
  return out;
}

TableSchema Parsed(std::string_view body) {
  SchemaOrFault parsed = ParseSchemaJson(body);
  EXPECT_TRUE(parsed.status.ok()) << parsed.status;
  return parsed.schema;
}

void ExpectFault(SchemaFault fault, std::string_view body, std::string_view words) {
  const SchemaOrFault parsed = ParseSchemaJson(body);
  ASSERT_FALSE(parsed.status.ok()) << body;
  EXPECT_EQ(parsed.fault, fault) << body << ": " << parsed.status;
  EXPECT_NE(parsed.status.message().find(words), std::string::npos) << parsed.status;
}

constexpr char kHead[] = R"({"columns":{"user":{"dtype":"utf8","nullable":false,"key":true,)"
                         R"("strict":true},"item":{"dtype":"int64","nullable":false,"key":true,)"
                         R"("strict":true},"score":{"dtype":"float32","nullable":true,)"
                         R"("key":false,"strict":false}}})";
constexpr char kSeed[] = R"({"key":"doc_id","columns":{"doc_id":{"dtype":"utf8",)"
                         R"("nullable":false},"score":{"dtype":"float32","nullable":true}}})";

TEST(SchemaJson, ShowsAHeadSchemaAsItWasWritten) {
  const TableSchema schema = Parsed(kHead);
  EXPECT_EQ(schema.key, (std::vector<std::string>{"user", "item"}));
  EXPECT_FALSE(schema.columns[2].strict);
  EXPECT_EQ(Shown(schema), kHead);
}

TEST(SchemaJson, ShowsASeedSchemaAsItWasWritten) {
  const TableSchema schema = Parsed(kSeed);
  EXPECT_EQ(schema.key, std::vector<std::string>{"doc_id"});
  EXPECT_FALSE(schema.columns[1].strict);  // float64 from pandas is taken
  EXPECT_EQ(Shown(schema), kSeed);
}

TEST(SchemaJson, ShowsTheFormThatTheServerIsTold) {
  EXPECT_NE(Shown(Parsed(kSeed), SchemaEcho::kHead).find(R"("key":true)"), std::string::npos);
  EXPECT_EQ(Shown(Parsed(kSeed), SchemaEcho::kHead).find(R"({"key")"), std::string::npos);
  EXPECT_EQ(Shown(Parsed(kHead), SchemaEcho::kSeed).find(R"({"key":["user","item"],)"), 0u);
}

TEST(SchemaJson, TakesTheKeyAsAList) {
  const TableSchema schema = Parsed(
      R"({"key": ["b", "a"], "columns": {"a": {"dtype": "int32"}, "b": {"dtype": "utf8"}}})");
  EXPECT_EQ(schema.key, (std::vector<std::string>{"b", "a"}));
  EXPECT_FALSE(schema.columns[0].nullable);  // implied
  EXPECT_EQ(Shown(schema).find(R"({"key":["b","a"],)"), 0u);
}

TEST(SchemaJson, DefaultsToNullableAndStrict) {
  const TableSchema schema = Parsed(
      R"({"columns": {"k": {"dtype": "utf8", "key": true, "nullable": false}, "v": {"dtype": "bool"}}})");
  EXPECT_TRUE(schema.columns[1].nullable);
  EXPECT_TRUE(schema.columns[1].strict);
}

TEST(SchemaJson, ReadsTtlAndEventTime) {
  const std::string columns =
      R"("columns": {"k": {"dtype": "utf8", "key": true, "nullable": false},
                     "t": {"dtype": "timestamp[us]"}}})";
  TableSchema schema = Parsed(R"({"ttl": "30d", "event_time": "t", )" + columns);
  EXPECT_EQ(schema.ttl_ms, int64_t{30} * 86'400'000);
  EXPECT_EQ(schema.event_time, "t");
  EXPECT_NE(Shown(schema).find(R"("ttl":"30d","event_time":"t"})"), std::string::npos);
  EXPECT_EQ(Shown(schema, SchemaEcho::kHead).find("ttl"), std::string::npos);
  schema = Parsed(R"({"ttl": 1500, )" + columns);
  EXPECT_EQ(schema.ttl_ms, 1500);
  ExpectFault(SchemaFault::kShape, R"({"ttl": "soon", )" + columns, "'ttl': ");
  ExpectFault(SchemaFault::kShape, R"({"ttl": -1, )" + columns, "'ttl' must be");
  ExpectFault(SchemaFault::kShape, R"({"ttl": 1.5, )" + columns, "'ttl' must be");
  ExpectFault(SchemaFault::kRule, R"({"event_time": "k", )" + columns, "must be a timestamp");
  ExpectFault(SchemaFault::kRule, R"({"event_time": "x", )" + columns, "not among the columns");
}

TEST(SchemaJson, TellsShapeFromRule) {
  ExpectFault(SchemaFault::kSyntax, "{", "not valid JSON");
  ExpectFault(SchemaFault::kShape, "[]", "a schema is an object with 'columns'");
  ExpectFault(SchemaFault::kShape, "{}", "a schema is an object with 'columns'");
  ExpectFault(SchemaFault::kShape, R"({"columns": []})", "'columns' is a list");
  ExpectFault(SchemaFault::kShape, R"({"columnz": {}})", "did you mean 'columns'?");
  ExpectFault(SchemaFault::kShape, R"({"columns": {"a": {}}})", "column 'a': has no dtype");
  ExpectFault(SchemaFault::kShape, R"({"columns": {"a": 1}})", "column 'a': is a number");
  ExpectFault(SchemaFault::kShape, R"({"columns": {"a": {"dtype": "flaot32"}}})", "float32");
  ExpectFault(SchemaFault::kShape, R"({"columns": {"a": {"dtype": "utf8", "nulable": false}}})",
              "field 'nulable' is not known (did you mean 'nullable'?)");
  ExpectFault(SchemaFault::kShape, R"({"columns": {"a": {"dtype": "utf8", "key": 1}}})", "'key'");
  ExpectFault(SchemaFault::kShape,
              R"({"key": "a", "columns": {"a": {"dtype": "utf8", "key": true}}})", "of its own");
  ExpectFault(SchemaFault::kShape, R"({"key": 1, "columns": {}})", "'key' must be");
  ExpectFault(SchemaFault::kSyntax,
              R"({"columns": {"a": {"dtype": "utf8"}, "a": {"dtype": "utf8"}}})", "occurs twice");
}

TEST(SchemaJson, KnowsTheRulesOfKeys) {
  const auto head = [](const std::string& column) { return R"({"columns": {)" + column + "}}"; };
  ExpectFault(SchemaFault::kRule, head(R"("a": {"dtype": "utf8"})"), "at least one key");
  ExpectFault(SchemaFault::kRule, head(""), "at least one key");
  ExpectFault(SchemaFault::kRule, head(R"("a": {"dtype": "utf8", "key": true})"),
              "must say \"nullable\": false");
  ExpectFault(SchemaFault::kRule,
              head(R"("a": {"dtype": "float32", "key": true, "nullable": false})"), "'a'");
  ExpectFault(SchemaFault::kRule, head(R"("a": {"dtype": "bool", "key": true, "nullable": false})"),
              "'a'");
  ExpectFault(SchemaFault::kRule,
              head(R"("_idx": {"dtype": "utf8", "key": true, "nullable": false})"), "reserved");
  ExpectFault(SchemaFault::kRule, R"({"key": "b", "columns": {"a": {"dtype": "utf8"}}})", "'b'");
  ExpectFault(SchemaFault::kRule, R"({"key": "a", "columns": {"a": {"dtype": "int64"}}})",
              "takes utf8 there");
}

TEST(SchemaJson, IgnoresOtherMembersOfASeedSchema) {
  const TableSchema schema =
      Parsed(R"({"key": "a", "source": {"s3": 1}, "columns": {"a": {"dtype": "utf8"}}})");
  EXPECT_EQ(schema.columns.size(), 1u);
}

TEST(SchemaJson, EveryTypeComesBack) {
  for (const char* type :
       {"bool", "int8", "uint64", "float16", "utf8", "binary", "date32", "time32[ms]", "time64[ns]",
        "timestamp[us, UTC]", "list<utf8>", "fixed_size_list<float32>[128]"}) {
    const std::string body = R"({"columns":{"k":{"dtype":"utf8","nullable":false,"key":true,)"
                             R"("strict":true},"v":{"dtype":")" +
                             std::string(type) +
                             R"(","nullable":true,"key":false,"strict":true}}})";
    EXPECT_EQ(Shown(Parsed(body)), body);
  }
}

TEST(SchemaJson, ReadsColumnsToAddAndToWiden) {
  const ColumnOrFault added =
      ParseColumnJson(R"({"name": "v", "dtype": "float", "strict": false})");
  ASSERT_TRUE(added.status.ok()) << added.status;
  EXPECT_EQ(added.column.name, "v");
  EXPECT_TRUE(added.column.type->Equals(arrow::float32()));
  EXPECT_FALSE(added.column.strict);
  EXPECT_EQ(ParseColumnJson(R"({"dtype": "float"})").fault, SchemaFault::kShape);
  EXPECT_EQ(ParseColumnJson(R"({"name": "v", "dtype": "x"})").fault, SchemaFault::kShape);
  EXPECT_EQ(ParseColumnJson("{").fault, SchemaFault::kSyntax);
  EXPECT_TRUE(ParseWidenJson(R"({"dtype": "int64"})").status.ok());
  EXPECT_FALSE(ParseWidenJson(R"({"dtype": "int64", "name": "x"})").status.ok());
}

}  // namespace
}  // namespace fletching::api
