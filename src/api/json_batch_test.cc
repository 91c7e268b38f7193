#include "api/json_batch.h"

#include <string>
#include <vector>

#include "arrow/array.h"
#include "arrow/builder.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include <gtest/gtest.h>

#include "fletching/schema.h"

#include "api/json_tree.h"
#include "ingest/sources.h"

namespace fletching::api {
namespace {

// A null, then the values.
template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Values(const std::shared_ptr<arrow::DataType>& type,
                                     const std::vector<Value>& values) {
  const auto made = *arrow::MakeBuilder(type);
  auto& builder = static_cast<Builder&>(*made);
  EXPECT_TRUE(builder.AppendNull().ok());
  for (const Value& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return *builder.Finish();
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::shared_ptr<arrow::Array>& column) {
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("v", column->type())}),
                                  column->length(), {column});
}

std::string Rendered(const std::shared_ptr<arrow::Array>& column) {
  const auto text = RenderJsonColumns(*Batch(column), nullptr);
  EXPECT_TRUE(text.ok()) << text.status();
  EXPECT_TRUE(ParseJson(*text).ok()) << *text;
  return text->substr(16, text->size() - 16 - 2);  // without {"columns":{"v": and }}
}

TEST(JsonBatch, WritesPositionsFirst) {
  arrow::UInt32Builder positions;
  EXPECT_TRUE(positions.AppendValues({0, 2}).ok());
  arrow::FloatBuilder floats;
  EXPECT_TRUE(floats.AppendValues({0.95F, 0.68F}).ok());
  const auto text = RenderJsonColumns(*Batch(*floats.Finish()), positions.Finish()->get());
  EXPECT_EQ(*text, R"({"columns":{"_idx":[0,2],"v":[0.949999988079071,0.6800000071525574]}})");
}

TEST(JsonBatch, WritesNoColumnsAndNoRows) {
  const auto none = arrow::RecordBatch::Make(arrow::schema({}), 0, arrow::ArrayVector{});
  EXPECT_EQ(*RenderJsonColumns(*none, nullptr), R"({"columns":{}})");
  EXPECT_EQ(Rendered(*arrow::MakeEmptyArray(arrow::utf8())), "[]");
}

TEST(JsonBatch, WritesEveryType) {
  using arrow::TimeUnit;
  EXPECT_EQ(Rendered(Values<arrow::BooleanBuilder, bool>(arrow::boolean(), {true, false})),
            "[null,true,false]");
  EXPECT_EQ(Rendered(Values<arrow::Int8Builder, int8_t>(arrow::int8(), {-128})), "[null,-128]");
  EXPECT_EQ(Rendered(Values<arrow::Int64Builder, int64_t>(arrow::int64(), {INT64_MIN})),
            "[null,-9223372036854775808]");
  EXPECT_EQ(Rendered(Values<arrow::UInt64Builder, uint64_t>(arrow::uint64(), {UINT64_MAX})),
            "[null,18446744073709551615]");
  EXPECT_EQ(Rendered(Values<arrow::DoubleBuilder, double>(arrow::float64(), {0.1, 1e308 * 10})),
            "[null,0.1,null]");
  EXPECT_EQ(Rendered(Values<arrow::HalfFloatBuilder, uint16_t>(arrow::float16(), {0x3E00})),
            "[null,1.5]");
  EXPECT_EQ(Rendered(Values<arrow::StringBuilder, std::string>(arrow::utf8(), {"a\"b"})),
            R"([null,"a\"b"])");
  EXPECT_EQ(Rendered(Values<arrow::BinaryBuilder, std::string>(arrow::binary(), {"\xff"})),
            R"([null,"/w=="])");
  EXPECT_EQ(Rendered(Values<arrow::Date32Builder, int32_t>(arrow::date32(), {0, INT32_MAX})),
            R"([null,"1970-01-01",2147483647])");
  EXPECT_EQ(Rendered(Values<arrow::Time32Builder, int32_t>(arrow::time32(TimeUnit::MILLI), {1})),
            R"([null,"00:00:00.001"])");
  EXPECT_EQ(Rendered(Values<arrow::TimestampBuilder, int64_t>(
                arrow::timestamp(TimeUnit::SECOND, "UTC"), {0})),
            R"([null,"1970-01-01T00:00:00Z"])");
}

TEST(JsonBatch, WritesLists) {
  arrow::ListBuilder lists(arrow::default_memory_pool(), std::make_shared<arrow::StringBuilder>());
  auto& texts = static_cast<arrow::StringBuilder&>(*lists.value_builder());
  EXPECT_TRUE(lists.AppendNull().ok() && lists.Append().ok() && lists.Append().ok());
  EXPECT_TRUE(texts.Append("a").ok() && texts.AppendNull().ok());
  const auto array = *lists.Finish();
  EXPECT_EQ(Rendered(array), R"([null,[],["a",null]])");
  EXPECT_EQ(Rendered(array->Slice(2)), R"([["a",null]])");

  arrow::FixedSizeListBuilder fixed(arrow::default_memory_pool(),
                                    std::make_shared<arrow::FloatBuilder>(), 2);
  auto& floats = static_cast<arrow::FloatBuilder&>(*fixed.value_builder());
  EXPECT_TRUE(fixed.Append().ok() && floats.AppendValues({1, 2.5}).ok());
  EXPECT_TRUE(fixed.AppendNull().ok());
  const auto pairs = *fixed.Finish();
  EXPECT_EQ(Rendered(pairs), "[[1.0,2.5],null]");
  EXPECT_EQ(Rendered(pairs->Slice(1)), "[null]");
}

// The promise of the header: what is written here is read back there, bit for bit.
TEST(JsonBatch, IsReadBackByTheReaderOfWrites) {
  using arrow::TimeUnit;
  const std::vector<std::shared_ptr<arrow::Array>> columns = {
      Values<arrow::FloatBuilder, float>(arrow::float32(), {0.1F, -3.4e38F, 1e-45F}),
      Values<arrow::DoubleBuilder, double>(arrow::float64(), {0.1, 5e-324, -0.0}),
      Values<arrow::HalfFloatBuilder, uint16_t>(arrow::float16(), {0x3E00, 0x0001, 0x7BFF}),
      Values<arrow::UInt64Builder, uint64_t>(arrow::uint64(), {UINT64_MAX}),
      Values<arrow::BinaryBuilder, std::string>(arrow::binary(), {"", "a", "ab", "abc"}),
      Values<arrow::Date32Builder, int32_t>(arrow::date32(), {-719528, 0, INT32_MAX, INT32_MIN}),
      Values<arrow::Time32Builder, int32_t>(arrow::time32(TimeUnit::SECOND), {86399}),
      Values<arrow::Time64Builder, int64_t>(arrow::time64(TimeUnit::NANO), {1, 999}),
      Values<arrow::TimestampBuilder, int64_t>(arrow::timestamp(TimeUnit::SECOND),
                                               {0, -1, INT64_MAX, INT64_MIN}),
      Values<arrow::TimestampBuilder, int64_t>(arrow::timestamp(TimeUnit::MILLI, "UTC"),
                                               {1709251199123}),
      Values<arrow::TimestampBuilder, int64_t>(arrow::timestamp(TimeUnit::NANO),
                                               {INT64_MIN, INT64_MAX, -1}),
  };
  for (const auto& column : columns) {
    const auto text = RenderJsonColumns(*Batch(column), nullptr);
    ASSERT_TRUE(text.ok());
    TableSchema schema;
    schema.columns = {{.name = "v", .type = column->type()}};
    const auto back = ingest::ParseJsonColumns(*text, schema, false);
    ASSERT_TRUE(back.ok()) << back.status() << "\n" << *text;
    EXPECT_TRUE((*back)->column(0)->Equals(column, arrow::EqualOptions().signed_zeros_equal(false)))
        << *text << "\n"
        << (*back)->column(0)->ToString();
  }
}

}  // namespace
}  // namespace fletching::api
