#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/base64.h"
#include "arrow/util/float16.h"
#include <gtest/gtest.h>

#include "ingest/cast.h"
#include "ingest/sources.h"
#include "ingest/test_samples.h"

namespace fletching::ingest {
namespace {

using samples::ArrayOf;
using samples::BatchPtr;
using TypePtr = std::shared_ptr<arrow::DataType>;

TableSchema OneColumn(const TypePtr& type) {
  TableSchema schema;
  schema.columns.push_back({.name = "x", .type = type});
  return schema;
}

Result<BatchPtr> Parse(const TypePtr& type, std::string_view values) {
  const std::string body = R"({"columns": {"x": )" + std::string(values) + "}}";
  return ParseJsonColumns(body, OneColumn(type), false);
}

void ExpectValues(const TypePtr& type, std::string_view values, std::string_view expected) {
  const auto batch = Parse(type, values);
  ASSERT_TRUE(batch.ok()) << type->ToString() << ": " << batch.status();
  EXPECT_TRUE(ValidateBatch(**batch).ok()) << ValidateBatch(**batch);
  EXPECT_TRUE((*batch)->column(0)->Equals(*ArrayOf(type, expected)))
      << (*batch)->column(0)->ToString();
}

void ExpectValues(const TypePtr& type, std::string_view values) {
  ExpectValues(type, values, values);
}

std::string Refusal(const TypePtr& type, std::string_view values) {
  const auto batch = Parse(type, values);
  EXPECT_FALSE(batch.ok()) << type->ToString() << ": " << values;
  if (batch.ok()) return "";
  EXPECT_EQ(CodeOf(batch.status()), ErrorCode::kInvalidArgument) << batch.status();
  return batch.status().message();
}

std::string BodyRefusal(std::string_view body) {
  const auto batch = ParseJsonColumns(body, OneColumn(arrow::int32()), false);
  EXPECT_FALSE(batch.ok()) << body;
  if (batch.ok()) return "";
  EXPECT_EQ(CodeOf(batch.status()), ErrorCode::kInvalidArgument) << batch.status();
  return batch.status().message();
}

TEST(JsonSource, ReadsIntegersExactly) {
  ExpectValues(arrow::int64(),
               "[-9223372036854775808, 9223372036854775807, null, "
               "9007199254740993, -0, 0]",
               "[-9223372036854775808, 9223372036854775807, null, 9007199254740993, 0, 0]");
  ExpectValues(arrow::uint64(), "[18446744073709551615, 0, null]");
  ExpectValues(arrow::int8(), "[-128, 127]");
  ExpectValues(arrow::uint16(), "[0, 65535]");
  ExpectValues(arrow::int32(), "[]");
}

TEST(JsonSource, RefusesWhatIsNoInteger) {
  for (const char* values : {"[1.5]", "[1.0]", "[1e3]", "[\"1\"]", "[true]", "[[1]]", "[{}]",
                             "[2147483648]", "[-2147483649]", "[99999999999999999999]"}) {
    EXPECT_NE(Refusal(arrow::int32(), values).find("column 'x', row 0"), std::string::npos);
  }
  Refusal(arrow::uint8(), "[-1]");
  Refusal(arrow::uint64(), "[18446744073709551616]");
  Refusal(arrow::int64(), "[9223372036854775808]");
  EXPECT_EQ(Refusal(arrow::int32(), "[1, null, 1.5]"),
            "JSON: column 'x', row 2: 1.5 is not a valid int32");
}

TEST(JsonSource, RoundsFloatsToTheNearest) {
  const auto batch = Parse(arrow::float32(),
                           "[0.1, 16777217, 1e-50, -0, 3.4028235e38, "
                           "1.00000005960464477539062500001]");
  ASSERT_TRUE(batch.ok()) << batch.status();
  const auto& values = static_cast<const arrow::FloatArray&>(*(*batch)->column(0));
  EXPECT_EQ(values.Value(0), 0.1f);
  EXPECT_EQ(values.Value(1), 16777216.0f);
  EXPECT_EQ(values.Value(2), 0.0f);
  EXPECT_TRUE(std::signbit(values.Value(3)));
  EXPECT_EQ(values.Value(4), std::numeric_limits<float>::max());
  // Rounded once: by way of a double it would come out one step lower.
  EXPECT_EQ(values.Value(5), 1.00000012f);
}

TEST(JsonSource, ReadsBackEveryDoubleItIsGiven) {
  std::mt19937_64 random(5);
  std::string text = "[0.0";
  std::vector<double> written = {0.0};
  for (int count = 0; count < 5000; ++count) {
    double value = 0;
    const uint64_t bits = random();
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    char digits[40];
    snprintf(digits, sizeof(digits), ", %.17g", value);
    text += digits;
    written.push_back(value);
  }
  const auto batch = Parse(arrow::float64(), text + "]");
  ASSERT_TRUE(batch.ok()) << batch.status();
  const auto& values = static_cast<const arrow::DoubleArray&>(*(*batch)->column(0));
  for (size_t row = 0; row < written.size(); ++row) {
    ASSERT_EQ(values.Value(static_cast<int64_t>(row)), written[row]);
  }
}

TEST(JsonSource, RefusesFloatsOutOfRangeAndSpelledOutOnes) {
  for (const char* values : {"[1e400]", "[-1e400]", "[\"NaN\"]", "[\"Infinity\"]", "[true]"}) {
    Refusal(arrow::float64(), values);
  }
  Refusal(arrow::float32(), "[1e39]");
  Refusal(arrow::float16(), "[70000]");
  for (const char* values :
       {"[NaN]", "[Infinity]", "[-Infinity]", "[01]", "[1.]", "[.5]", "[+1]"}) {
    EXPECT_NE(Refusal(arrow::float64(), values).find("not valid JSON"), std::string::npos);
  }
  ExpectValues(arrow::float16(), "[0.5, 65504, null, -2]");
}

TEST(JsonSource, ReadsTextBooleansAndBytes) {
  ExpectValues(arrow::boolean(), "[true, false, null]");
  ExpectValues(arrow::utf8(), R"(["", "a\nb", null, "\u00fc\ud83d\ude00", "q\"\\/"])");
  const auto batch = Parse(arrow::binary(), R"(["", "AAH/", null, "YQ=="])");
  ASSERT_TRUE(batch.ok()) << batch.status();
  const auto& bytes = static_cast<const arrow::BinaryArray&>(*(*batch)->column(0));
  EXPECT_EQ(bytes.GetView(1), std::string_view("\x00\x01\xff", 3));
  EXPECT_EQ(bytes.GetView(3), "a");
  for (const char* values : {R"(["a"])", R"(["YQ=a"])", R"(["Y Q="])", "[\"\xc3\xbc\"]", "[1]"}) {
    Refusal(arrow::binary(), values);
  }
  Refusal(arrow::utf8(), "[1]");
  Refusal(arrow::boolean(), "[1]");
  Refusal(arrow::boolean(), "[\"true\"]");
}

TEST(JsonSource, ReadsDatesAndTimesAsTextAndAsUnits) {
  ExpectValues(arrow::date32(), R"(["1970-01-02", "0001-01-01", "9999-12-31", null, 15706])",
               "[1, -719162, 2932896, null, 15706]");
  for (const char* values : {R"(["2013-02-29"])", R"(["2013-1-1"])", R"(["20130101"])",
                             R"(["2013-01-01T00:00:00"])", R"([""])", "[1.5]", "[3000000000]"}) {
    Refusal(arrow::date32(), values);
  }
  const auto seconds = arrow::time32(arrow::TimeUnit::SECOND);
  ExpectValues(seconds, R"(["00:01", "23:59:59", "00:00:01.000", null, 86399])",
               "[60, 86399, 1, null, 86399]");
  for (const char* values : {R"(["24:00:00"])", R"(["00:00:01.5"])", "[86400]", "[-1]"}) {
    Refusal(seconds, values);
  }
  ExpectValues(arrow::time64(arrow::TimeUnit::NANO), R"(["23:59:59.999999999"])",
               "[86399999999999]");
  ExpectValues(arrow::time32(arrow::TimeUnit::MILLI), R"(["00:00:00.0010"])", "[1]");
}

TEST(JsonSource, ReadsTimestampsWithAndWithoutAZone) {
  const auto utc = arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  const auto naive = arrow::timestamp(arrow::TimeUnit::MICRO);
  ExpectValues(utc, R"(["1970-01-01T00:00:01Z", "1970-01-01 02:00:01+02:00", "1970-01-01T00:00:01",
                        null, "1970-01-01", -5, "1970-01-01T00:00:00.000001000Z"])",
               "[1000000, 1000000, 1000000, null, 0, -5, 1]");
  ExpectValues(naive, R"(["1970-01-01T00:00:01.5", "1969-12-31T23:59:59"])", "[1500000, -1000000]");
  Refusal(naive, R"(["1970-01-01T00:00:01Z"])");
  Refusal(utc, R"(["1970-01-01T00:00:00.0000001Z"])");
  Refusal(utc, R"(["1970-01-01T00:00:60Z"])");
  Refusal(arrow::timestamp(arrow::TimeUnit::NANO), R"(["3000-01-01"])");
  Refusal(arrow::timestamp(arrow::TimeUnit::NANO), "[9223372036854775808]");
  ExpectValues(arrow::timestamp(arrow::TimeUnit::SECOND), R"(["2013-01-01T00:00:00.000"])",
               "[1356998400]");
}

TEST(JsonSource, ReadsLists) {
  ExpectValues(arrow::list(arrow::int32()), "[[1, 2], [], null, [null]]");
  ExpectValues(arrow::list(arrow::utf8()), R"([["a", ""], [], null])");
  ExpectValues(arrow::fixed_size_list(arrow::float32(), 2), "[[1, 2], null, [0.5, -1]]");
  EXPECT_EQ(Refusal(arrow::fixed_size_list(arrow::float32(), 2), "[[1, 2], [3]]"),
            "JSON: column 'x', row 1: a list of 1 values where the schema says 2");
  EXPECT_EQ(Refusal(arrow::list(arrow::int32()), "[[], [1, 1.5]]"),
            "JSON: column 'x', row 1: 1.5 is not a valid int32");
  Refusal(arrow::list(arrow::int32()), "[[[1]]]");
  Refusal(arrow::list(arrow::int32()), "[1]");
  Refusal(arrow::list(arrow::int32()), "[[{}]]");
}

TEST(JsonSource, RefusesBodiesOfAnotherShape) {
  for (const char* body : {"",
                           " ",
                           "null",
                           "1",
                           "[]",
                           "{}",
                           R"({"columns": null})",
                           R"({"columns": []})",
                           R"({"columns": 1})",
                           R"({"columns": {"x": 1}})",
                           R"({"columns": {"x": {}}})",
                           R"({"columns": {"x": null}})",
                           R"({"columns": {"x": [1]}, "columns": {"x": [1]}})",
                           R"({"columns": {"x": [1], "x": [1]}})",
                           R"({"columns": {"y": [1]}})",
                           R"({"columns": {"x": [1]})",
                           R"({"columns": {"x": [1]}}})",
                           R"({"columns": {"x": [1]}} x)",
                           R"({"columns": {"x": [1,]}})",
                           R"({'columns': {}})",
                           "{\"columns\": {\"x\": [1 /* */]}}",
                           "\xef\xbb\xbf{}"}) {
    BodyRefusal(body);
  }
}

TEST(JsonSource, RefusesBrokenUtf8) {
  EXPECT_NE(BodyRefusal("{\"columns\": {\"\xff\": []}}").find("UTF-8"), std::string::npos);
  for (const char* text : {"\xff", "\xc3\x28", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc0\x80"}) {
    const std::string values = std::string("[\"") + text + "\"]";
    EXPECT_NE(Refusal(arrow::utf8(), values).find("UTF-8"), std::string::npos);
  }
  Refusal(arrow::utf8(), R"(["\ud800"])");
  Refusal(arrow::utf8(), R"(["\udc00\ud800"])");
}

TEST(JsonSource, IgnoresWhatNobodyWants) {
  const std::string_view body = R"({"mode": {"a": [1, {"columns": 5}]}, "columns": {
      "extra": [{"deep": [[1]]}, null, "s"], "x": [1], "more": 5, "and": {"x": [2]}}, "end": null})";
  const auto batch = ParseJsonColumns(body, OneColumn(arrow::int32()), true);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ((*batch)->num_columns(), 1);
  EXPECT_TRUE((*batch)->column(0)->Equals(*ArrayOf(arrow::int32(), "[1]")));
  const auto twice = R"({"columns": {"extra": [], "extra": []}})";
  EXPECT_FALSE(ParseJsonColumns(twice, OneColumn(arrow::int32()), true).ok());
}

TEST(JsonSource, BoundsTheDepth) {
  const std::string deep(100'000, '[');
  EXPECT_NE(BodyRefusal(deep), "");
  const auto extra = R"({"columns": {"extra": )" + deep;
  EXPECT_FALSE(ParseJsonColumns(extra, OneColumn(arrow::int32()), true).ok());
}

TEST(JsonSource, RefusesColumnsOfDifferentLengths) {
  TableSchema schema = OneColumn(arrow::int32());
  schema.columns.push_back({.name = "y", .type = arrow::utf8()});
  const auto batch = ParseJsonColumns(R"({"columns": {"x": [1, 2], "y": ["a"]}})", schema, false);
  EXPECT_EQ(batch.status().message(), "JSON: column 'y' has 1 values, column 'x' has 2");
  const auto absent = ParseJsonColumns(R"({"columns": {"y": ["a"]}})", schema, false);
  ASSERT_TRUE(absent.ok()) << absent.status();
  EXPECT_EQ((*absent)->num_columns(), 1);
}

TEST(JsonSource, RefusesNullsThatUnfoldToGigabytes) {
  std::string values = "[null";
  for (int row = 0; row < 10'000; ++row) values += ",null";
  const auto batch = Parse(arrow::fixed_size_list(arrow::float64(), 65536), values + "]");
  ASSERT_FALSE(batch.ok());
  EXPECT_EQ(CodeOf(batch.status()), ErrorCode::kTooLarge) << batch.status();
}

TEST(JsonSource, SurvivesCutsAndFlippedBits) {
  TableSchema schema = samples::SchemaOf(*samples::EveryType());
  const std::string body =
      R"({"columns": {"bool": [true, null], "int64": [1, -5], "float32": [0.1, 1e-5],)"
      R"( "utf8": ["a\u00fc", null], "binary": ["AAH/", ""], "date32": ["2013-01-01", 1],)"
      R"( "timestamp_utc": ["2013-01-01T00:00:00Z", null], "list_utf8": [["a"], []],)"
      R"( "embedding": [[1, 2, 3], null]}})";
  ASSERT_TRUE(ParseJsonColumns(body, schema, false).ok());
  std::mt19937 random(9);
  for (size_t at = 0; at < body.size(); ++at) {
    EXPECT_FALSE(ParseJsonColumns(body.substr(0, at), schema, false).ok()) << at;
    for (int round = 0; round < 8; ++round) {
      std::string damaged = body;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << round));
      const auto batch = ParseJsonColumns(damaged, schema, random() % 2 == 0);
      if (batch.ok()) {
        EXPECT_TRUE(ValidateBatch(**batch).ok()) << damaged;
      }
    }
  }
}

}  // namespace
}  // namespace fletching::ingest
