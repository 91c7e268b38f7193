// What a segment was given is found in it again: every key, every encoding, every kind of column.
#include <map>
#include <numeric>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "segment/test_segment.h"

namespace fletching::segment {
namespace {

using format::Encoding;

std::string LongOrShort(int64_t i) {
  return "key" + std::to_string(i) + std::string(static_cast<size_t>(i % 90), '-');
}

TEST(SegmentRoundtrip, FindsEveryKeyAndNoOther) {
  for (const uint32_t unit_bytes : {8u, 64u}) {
    std::vector<std::string> ids;
    std::vector<int64_t> numbers;
    for (int64_t i = 0; i < 20'000; ++i) {
      ids.push_back(LongOrShort(i));
      numbers.push_back(i);
    }
    Segment segment(
        {.columns = {{.column_id = 1, .type = arrow::int64()}}, .unit_bytes = unit_bytes},
        {{Texts(ids)}}, {{Numbers(numbers)}});
    EXPECT_EQ(segment.summary().row_count, 20'000u);
    EXPECT_TRUE(segment.Read({Texts(ids)}, 1, arrow::int64())->Equals(Numbers(numbers)));
    EXPECT_EQ(segment.found_count, 20'000);
    for (std::string& id : ids) id += "?";
    EXPECT_EQ(segment.Read({Texts(ids)}, 1, arrow::int64())->null_count(), 20'000);
    EXPECT_EQ(segment.found_count, 0);
  }
}

// A bucket's tags have 16 bits: about one missing key in 14,000 meets the tag of another key.
TEST(SegmentRoundtrip, TellsKeysOfTheSameTagApart) {
  std::vector<int64_t> present(10'000);
  std::iota(present.begin(), present.end(), 0);
  std::vector<int64_t> absent(200'000);
  std::iota(absent.begin(), absent.end(), 10'000);
  Segment segment({.key_width = 8, .columns = {{.column_id = 1, .type = arrow::int64()}}},
                  {{Numbers(present)}}, {{Numbers(present)}});
  EXPECT_EQ(segment.Read({Numbers(absent)}, 1, arrow::int64())->null_count(), 200'000);
  EXPECT_EQ(segment.found_count, 0);
}

TEST(SegmentRoundtrip, KeepsTheLastRowOfAKeyAcrossBatches) {
  std::vector<int64_t> ids(3000);
  std::iota(ids.begin(), ids.end(), 0);
  const auto later = Numbers(ids)->Slice(1000, 500);
  Segment segment({.key_width = 8, .columns = {{.column_id = 1, .type = arrow::utf8()}}},
                  {{Numbers(ids)}, {later}},
                  {{Texts(std::vector<std::string>(3000, "old"))},
                   {Texts(std::vector<std::string>(500, "new"))}});
  EXPECT_EQ(segment.summary().row_count, 3000u);
  EXPECT_EQ(segment.reader().footer().dead_count, 500u);
  const auto read = segment.Read({Numbers({999, 1000, 1499, 1500})}, 1, arrow::utf8());
  EXPECT_TRUE(read->Equals(Texts({"old", "new", "new", "old"})));
  std::vector<ByteSpan> keys;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  size_t scanned = 0;
  for (uint64_t cursor = 0; cursor < segment.reader().end_address();) {
    ASSERT_TRUE(segment.reader().Scan(&cursor, 100, &keys, &bodies, &rows).ok());
    scanned += keys.size();
  }
  EXPECT_EQ(scanned, 3000u);  // the dead ones are left out
}

TEST(SegmentRoundtrip, KeepsTheNewestEventWhateverTheOrder) {
  Segment segment({.key_width = 8,
                   .columns = {{.column_id = 1, .type = arrow::int64(), .may_be_null = false}},
                   .event_time_index = 0},
                  {{Numbers({1, 1, 1, 2, 2})}}, {{Numbers({5, 9, 7, 3, 3})}});
  EXPECT_TRUE(segment.Read({Numbers({1, 2})}, 1, arrow::int64())->Equals(Numbers({9, 3})));
  // Of equal events the later row: rows 3 and 4 differ in their address alone.
  EXPECT_EQ(segment.reader().footer().dead_count, 3u);
}

TEST(SegmentRoundtrip, FindsSparseValuesAtTheEndsOfTheirRanges) {
  for (const int64_t step : {1, 2, 7, 1000, 4999}) {
    std::vector<int64_t> ids(5000);
    std::iota(ids.begin(), ids.end(), 0);
    std::vector<int64_t> sparse(5000, -1);
    std::vector<std::string> texts(5000);
    for (int64_t i = 0; i < 5000; i += step) sparse[i] = i;
    Segment segment(
        {.key_width = 8,
         .columns = {{.column_id = 1, .type = arrow::int64(), .encoding = Encoding::kSparse},
                     {.column_id = 2, .type = arrow::utf8(), .encoding = Encoding::kSparse}}},
        {{Numbers(ids)}}, {{Numbers(sparse), Texts(std::vector<std::string>(5000, "t"))}});
    EXPECT_TRUE(segment.Read({Numbers(ids)}, 1, arrow::int64())->Equals(Numbers(sparse)))
        << "step " << step;
    EXPECT_EQ(segment.reader().ValueCount(1), static_cast<uint64_t>((5000 + step - 1) / step));
    EXPECT_TRUE(segment.Read({Numbers({0, 4999})}, 2, arrow::utf8())->Equals(Texts({"t", "t"})));
    // A narrower column read as a wider one passes the same way.
    EXPECT_EQ(segment.Read({Numbers({0})}, 3, arrow::int64())->null_count(), 1);  // no such column
  }
}

TEST(SegmentRoundtrip, WritesNothingForAbsentColumnsAndOneValueForConstants) {
  std::vector<int64_t> ids(100);
  std::iota(ids.begin(), ids.end(), 0);
  const auto nulls = arrow::MakeArrayOfNull(arrow::int64(), 100).ValueOrDie();
  Segment segment(
      {.key_width = 8,
       .columns = {{.column_id = 1, .type = arrow::int64(), .encoding = Encoding::kSparse},
                   {.column_id = 2, .type = arrow::int64(), .encoding = Encoding::kConstant},
                   {.column_id = 3, .type = arrow::utf8(), .encoding = Encoding::kConstant}}},
      {{Numbers(ids)}},
      {{nulls, Numbers(std::vector<int64_t>(100, 77)),
        Texts(std::vector<std::string>(100, "same"))}});
  EXPECT_EQ(segment.reader().footer().column_count, 2u);
  EXPECT_TRUE(segment.Read({Numbers({3, 500})}, 2, arrow::int64())->Equals(Numbers({77, -1})));
  EXPECT_EQ(segment.Read({Numbers({3})}, 3, arrow::utf8())->ToString(), "[\n  \"same\"\n]");
  EXPECT_EQ(segment.Read({Numbers({3})}, 1, arrow::int64())->null_count(), 1);
}

TEST(SegmentRoundtrip, RemembersNullsAndWidensValues) {
  arrow::Int16Builder narrow;
  ASSERT_TRUE(narrow.AppendValues({-7, 0, 5}, {true, false, true}).ok());
  Segment segment({.key_width = 8, .columns = {{.column_id = 1, .type = arrow::int16()}}},
                  {{Numbers({0, 1, 2})}}, {{narrow.Finish().ValueOrDie()}});
  const auto wide = segment.Read({Numbers({0, 1, 2})}, 1, arrow::int64());
  EXPECT_EQ(wide->ToString(), "[\n  -7,\n  null,\n  5\n]");
  const auto real = segment.Read({Numbers({2, 1})}, 1, arrow::float32());
  EXPECT_EQ(real->ToString(), "[\n  5,\n  null\n]");
  const auto some = segment.Read({Numbers({0, 1, 9, 2})}, 1, arrow::int16());  // 9 is missing
  EXPECT_EQ(some->ToString(), "[\n  -7,\n  null,\n  null,\n  5\n]");
}

TEST(SegmentRoundtrip, StoresNothingOfWhatLiesUnderANull) {
  arrow::Int64Builder builder;
  ASSERT_TRUE(builder.AppendValues({11, 0x5ec4e7, 13}).ok());
  const auto values = builder.Finish().ValueOrDie()->data()->buffers[1];
  const uint8_t valid = 0b101;
  const auto validity = std::make_shared<arrow::Buffer>(&valid, 1);
  Segment segment({.key_width = 8, .columns = {{.column_id = 1, .type = arrow::int64()}}},
                  {{Numbers({0, 1, 2})}},
                  {{std::make_shared<arrow::Int64Array>(3, values, validity)}});
  const auto read = segment.Read({Numbers({0, 1, 2})}, 1, arrow::int64());
  EXPECT_TRUE(read->Equals(Numbers({11, -1, 13})));
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*read).raw_values()[1], 0);
}

TEST(SegmentRoundtrip, KeepsTextsOfSeveralColumnsApart) {
  const std::vector<std::string> first = {"one", "", "three"};
  const std::vector<std::string> second = {"", "zwei", "drei"};
  const std::vector<std::string> third = {"un", "deux", ""};
  Segment segment({.key_width = 8,
                   .columns = {{.column_id = 1, .type = arrow::utf8()},
                               {.column_id = 2, .type = arrow::utf8()},
                               {.column_id = 3, .type = arrow::utf8()}}},
                  {{Numbers({0, 1, 2})}}, {{Texts(first), Texts(second), Texts(third)}});
  EXPECT_TRUE(segment.Read({Numbers({0, 1, 2})}, 1, arrow::utf8())->Equals(Texts(first)));
  EXPECT_TRUE(segment.Read({Numbers({0, 1, 2})}, 2, arrow::utf8())->Equals(Texts(second)));
  EXPECT_TRUE(segment.Read({Numbers({0, 1, 2})}, 3, arrow::utf8())->Equals(Texts(third)));
}

TEST(SegmentRoundtrip, WidensEveryKindOfIntegerWithItsSign) {
  for (const auto& type : {arrow::int8(), arrow::int16(), arrow::int32()}) {
    const auto builder = arrow::MakeBuilder(type).ValueOrDie();
    ASSERT_TRUE(builder->AppendScalar(*arrow::MakeScalar(type, -5).ValueOrDie()).ok());
    Segment segment({.key_width = 8, .columns = {{.column_id = 1, .type = type}}}, {{Numbers({0})}},
                    {{builder->Finish().ValueOrDie()}});
    const auto wide = segment.Read({Numbers({0})}, 1, arrow::int64());
    EXPECT_EQ(wide->ToString(), "[\n  -5\n]") << type->ToString();
  }
}

}  // namespace
}  // namespace fletching::segment
