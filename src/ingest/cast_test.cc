#include "ingest/cast.h"

#include "arrow/array.h"
#include "arrow/array/util.h"
#include "arrow/buffer.h"
#include "arrow/builder.h"
#include "arrow/extension/uuid.h"
#include "arrow/extension_type.h"
#include "arrow/json/from_string.h"
#include "arrow/record_batch.h"
#include "arrow/scalar.h"
#include "arrow/type.h"
#include <gtest/gtest.h>

#include "ingest/test_samples.h"

namespace fletching::ingest {
namespace {

using arrow::TimeUnit;
using samples::ArrayOf;
using samples::ArrayPtr;
using TypePtr = std::shared_ptr<arrow::DataType>;

void ExpectCast(const ArrayPtr& from, const TypePtr& to, std::string_view expected,
                const CastRules& rules = {}) {
  const auto cast = CastColumn(from, to, rules);
  ASSERT_TRUE(cast.ok()) << from->type()->ToString() << " -> " << to->ToString() << ": "
                         << cast.status();
  EXPECT_TRUE((*cast)->type()->Equals(*to)) << (*cast)->type()->ToString();
  EXPECT_TRUE((*cast)->ValidateFull().ok()) << (*cast)->ValidateFull();
  EXPECT_TRUE((*cast)->Equals(*ArrayOf(to, expected))) << (*cast)->ToString();
}

void ExpectRefused(const ArrayPtr& from, const TypePtr& to, const CastRules& rules = {}) {
  const auto cast = CastColumn(from, to, rules);
  ASSERT_FALSE(cast.ok()) << from->type()->ToString() << " -> " << to->ToString();
  EXPECT_EQ(CodeOf(cast.status()), ErrorCode::kSchemaMismatch) << cast.status();
}

TEST(Cast, GivesEqualTypesBackAsTheyAre) {
  const auto batch = samples::EveryType();
  for (const ArrayPtr& column : batch->columns()) {
    EXPECT_EQ(*CastColumn(column, column->type(), {}), column);
  }
}

TEST(Cast, WidensNumbers) {
  ExpectCast(ArrayOf(arrow::int8(), "[-128, null, 127]"), arrow::int16(), "[-128, null, 127]");
  ExpectCast(ArrayOf(arrow::uint32(), "[4294967295]"), arrow::int64(), "[4294967295]");
  ExpectCast(ArrayOf(arrow::uint8(), "[255]"), arrow::uint64(), "[255]");
  ExpectCast(ArrayOf(arrow::int16(), "[-32768, 7]"), arrow::float32(), "[-32768, 7]");
  ExpectCast(ArrayOf(arrow::int32(), "[2147483647]"), arrow::float64(), "[2147483647]");
  ExpectCast(ArrayOf(arrow::float16(), "[0.5, null, -Inf]"), arrow::float32(), "[0.5, null, -Inf]");
  ExpectCast(ArrayOf(arrow::float16(), "[65504]"), arrow::float64(), "[65504]");
  ExpectCast(ArrayOf(arrow::float32(), "[0.5]"), arrow::float64(), "[0.5]");
}

TEST(Cast, RefusesToNarrowUnlessAskedTo) {
  ExpectRefused(ArrayOf(arrow::int64(), "[1]"), arrow::int32());
  ExpectRefused(ArrayOf(arrow::int64(), "[1]"), arrow::float64());
  ExpectRefused(ArrayOf(arrow::int32(), "[1]"), arrow::uint64());
  ExpectRefused(ArrayOf(arrow::float64(), "[1]"), arrow::float32());
  ExpectRefused(ArrayOf(arrow::float64(), "[1]"), arrow::int64());
  ExpectRefused(ArrayOf(arrow::boolean(), "[true]"), arrow::int8());
  ExpectRefused(ArrayOf(arrow::utf8(), R"(["1"])"), arrow::int32());
  ExpectRefused(ArrayOf(arrow::binary(), R"(["a"])"), arrow::utf8());
}

TEST(Cast, NarrowsFloatsByRoundingWhenAskedTo) {
  const CastRules rules = {.allow_float_narrowing = true};
  ExpectCast(ArrayOf(arrow::float64(), "[0.1, 1e300, -1e300, NaN, null]")->Slice(0, 3),
             arrow::float32(), "[0.1, Inf, -Inf]", rules);
  ExpectRefused(ArrayOf(arrow::int64(), "[1]"), arrow::int32(), rules);
}

TEST(Cast, NarrowsIntegersThatFitWhenAskedTo) {
  const CastRules rules = {.allow_int_narrowing = true};
  ExpectCast(ArrayOf(arrow::int64(), "[127, null, -128]"), arrow::int8(), "[127, null, -128]",
             rules);
  ExpectCast(ArrayOf(arrow::int64(), "[9223372036854775807]"), arrow::uint64(),
             "[9223372036854775807]", rules);
  ExpectRefused(ArrayOf(arrow::int64(), "[128]"), arrow::int8(), rules);
  ExpectRefused(ArrayOf(arrow::int64(), "[-1]"), arrow::uint64(), rules);
  ExpectRefused(ArrayOf(arrow::uint64(), "[18446744073709551615]"), arrow::int64(), rules);
  ExpectRefused(ArrayOf(arrow::float64(), "[1]"), arrow::int8(), rules);
}

TEST(Cast, TakesEveryFormOfTextAndBytes) {
  const std::string_view text = R"(["a", null, "longer than twelve bytes", ""])";
  for (const TypePtr& type : {arrow::large_utf8(), arrow::utf8_view()}) {
    ExpectCast(ArrayOf(type, text), arrow::utf8(), text);
    ExpectCast(ArrayOf(type, text)->Slice(2), arrow::utf8(), R"(["longer than twelve bytes", ""])");
  }
  for (const TypePtr& type : {arrow::large_binary(), arrow::binary_view(), arrow::utf8()}) {
    ExpectCast(ArrayOf(type, text), arrow::binary(), text);
  }
  ExpectCast(ArrayOf(arrow::fixed_size_binary(2), R"(["ab", null])"), arrow::binary(),
             R"(["ab", null])");
}

TEST(Cast, DoesNotFollowViewsOfNulls) {
  arrow::BinaryViewType::c_type wild{};
  wild.ref = {.size = 1 << 20, .prefix = {}, .buffer_index = 7, .offset = 1 << 30};
  std::vector<arrow::BinaryViewType::c_type> views = {wild};
  const ArrayPtr null_view = std::make_shared<arrow::StringViewArray>(
      arrow::utf8_view(), 1, arrow::Buffer::FromVector(std::move(views)), arrow::BufferVector{},
      arrow::Buffer::FromString(std::string(1, '\0')), 1);
  ASSERT_TRUE(ValidateColumn(*null_view).ok()) << ValidateColumn(*null_view);
  ExpectCast(null_view, arrow::utf8(), "[null]");
}

TEST(Cast, UnfoldsDictionaries) {
  const auto dictionary =
      arrow::json::DictArrayFromJSONString(arrow::dictionary(arrow::int8(), arrow::large_utf8()),
                                           "[0, 1, null, 0]", R"(["x", "y"])")
          .ValueOrDie();
  ExpectCast(dictionary, arrow::utf8(), R"(["x", "y", null, "x"])");
  ExpectCast(dictionary->Slice(1, 2), arrow::utf8(), R"(["y", null])");
  const auto numbers = arrow::json::DictArrayFromJSONString(
                           arrow::dictionary(arrow::uint16(), arrow::int32()), "[1, 0]", "[5, 6]")
                           .ValueOrDie();
  ExpectCast(numbers, arrow::int64(), "[6, 5]");
  ExpectRefused(numbers, arrow::int16());
}

TEST(Cast, RefusesADictionaryThatUnfoldsToGigabytes) {
  arrow::StringBuilder values;
  ASSERT_TRUE(values.Append(std::string(1 << 20, 'x')).ok());
  const auto indices = arrow::MakeArrayFromScalar(arrow::Int16Scalar(0), 60'000).ValueOrDie();
  const ArrayPtr bomb = std::make_shared<arrow::DictionaryArray>(
      arrow::dictionary(arrow::int16(), arrow::utf8()), indices, values.Finish().ValueOrDie());
  for (const Status& status :
       {CastColumn(bomb, arrow::utf8(), {}).status(), ValidateColumn(*bomb)}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(CodeOf(status), ErrorCode::kTooLarge) << status;
  }
}

TEST(Cast, ChangesTheUnitOfTimesWhenNoDigitIsLost) {
  ExpectCast(ArrayOf(arrow::timestamp(TimeUnit::NANO), "[1000, null, -2000]"),
             arrow::timestamp(TimeUnit::MICRO), "[1, null, -2]");
  ExpectRefused(ArrayOf(arrow::timestamp(TimeUnit::NANO), "[1001]"),
                arrow::timestamp(TimeUnit::MICRO));
  ExpectCast(ArrayOf(arrow::timestamp(TimeUnit::SECOND), "[1]"), arrow::timestamp(TimeUnit::NANO),
             "[1000000000]");
  ExpectRefused(ArrayOf(arrow::timestamp(TimeUnit::SECOND), "[9223372036854775807]"),
                arrow::timestamp(TimeUnit::NANO));
  ExpectCast(ArrayOf(arrow::time32(TimeUnit::SECOND), "[86399]"), arrow::time64(TimeUnit::MICRO),
             "[86399000000]");
  ExpectCast(ArrayOf(arrow::time64(TimeUnit::NANO), "[1000000]"), arrow::time32(TimeUnit::MILLI),
             "[1]");
  ExpectRefused(ArrayOf(arrow::time64(TimeUnit::NANO), "[1]"), arrow::time32(TimeUnit::MILLI));
  ExpectCast(ArrayOf(arrow::date64(), "[86400000, null, -86400000]"), arrow::date32(),
             "[1, null, -1]");
  ExpectRefused(ArrayOf(arrow::date64(), "[86400001]"), arrow::date32());
}

TEST(Cast, KeepsInstantsAcrossZonesAndGuessesNone) {
  const TypePtr utc = arrow::timestamp(TimeUnit::MICRO, "UTC");
  ExpectCast(ArrayOf(arrow::timestamp(TimeUnit::MILLI, "America/New_York"), "[1]"), utc, "[1000]");
  const auto refused =
      CastColumn(ArrayOf(arrow::timestamp(TimeUnit::MICRO), "[1]"), utc, {}).status();
  EXPECT_NE(refused.message().find("time zone"), std::string::npos) << refused;
  ExpectRefused(ArrayOf(utc, "[1]"), arrow::timestamp(TimeUnit::MICRO));
}

TEST(Cast, TakesEveryFormOfList) {
  const TypePtr target = arrow::list(arrow::int64());
  const std::string_view lists = "[[1, 2], [], null, [3], [null, 4]]";
  const TypePtr item = arrow::int32();
  for (const TypePtr& type : {arrow::list(item), arrow::large_list(item), arrow::list_view(item),
                              arrow::large_list_view(item)}) {
    ExpectCast(ArrayOf(type, lists), target, lists);
    ExpectCast(ArrayOf(type, lists)->Slice(1, 3), target, "[[], null, [3]]");
    ExpectCast(ArrayOf(type, "[]"), target, "[]");
  }
  ExpectCast(ArrayOf(arrow::fixed_size_list(item, 2), "[[1, 2], null, [3, 4]]")->Slice(1), target,
             "[null, [3, 4]]");
  ExpectCast(ArrayOf(arrow::list(arrow::large_utf8()), R"([["a"], [null]])"),
             arrow::list(arrow::utf8()), R"([["a"], [null]])");
  ExpectRefused(ArrayOf(arrow::list(arrow::utf8()), R"([["a"]])"), target);
  ExpectRefused(ArrayOf(arrow::int64(), "[1]"), target);
  ExpectRefused(ArrayOf(arrow::list(item), "[[1]]"), arrow::int32());
}

TEST(Cast, MakesListsOfOneLengthFixed) {
  const TypePtr target = arrow::fixed_size_list(arrow::float32(), 2);
  const CastRules rules = {.allow_float_narrowing = true};
  for (const TypePtr& type :
       {arrow::list(arrow::float64()), arrow::large_list(arrow::float64()),
        arrow::list_view(arrow::float64()), arrow::fixed_size_list(arrow::float64(), 2)}) {
    ExpectCast(ArrayOf(type, "[[1, 2], null, [3, null]]"), target, "[[1, 2], null, [3, null]]",
               rules);
    ExpectCast(ArrayOf(type, "[[1, 2], null, [3, null]]")->Slice(2), target, "[[3, null]]", rules);
  }
  ExpectRefused(ArrayOf(arrow::list(arrow::float64()), "[[1, 2], [3]]"), target, rules);
  ExpectRefused(ArrayOf(arrow::fixed_size_list(arrow::float64(), 3), "[[1, 2, 3]]"), target, rules);
}

TEST(Cast, TakesAColumnOfNothingButNulls) {
  const ArrayPtr nulls = std::make_shared<arrow::NullArray>(2);
  ExpectCast(nulls, arrow::utf8(), "[null, null]");
  ExpectCast(nulls, arrow::fixed_size_list(arrow::float32(), 3), "[null, null]");
  const auto wide = arrow::fixed_size_list(arrow::float64(), 65536);
  const auto refused = CastColumn(std::make_shared<arrow::NullArray>(65536), wide, {}).status();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(CodeOf(refused), ErrorCode::kTooLarge);
}

TEST(Cast, LooksThroughExtensionTypes) {
  const ArrayPtr storage = ArrayOf(arrow::fixed_size_binary(16), R"(["0123456789abcdef"])");
  const ArrayPtr uuid = arrow::ExtensionType::WrapArray(arrow::extension::uuid(), storage);
  ExpectCast(uuid, arrow::binary(), R"(["0123456789abcdef"])");
}

TEST(Cast, NamesBothTypesInItsError) {
  const auto refused = CastColumn(ArrayOf(arrow::int64(), "[1]"), arrow::float32(), {}).status();
  EXPECT_EQ(refused.message(), "int64 column where the schema says float32; cast it first");
}

}  // namespace
}  // namespace fletching::ingest
