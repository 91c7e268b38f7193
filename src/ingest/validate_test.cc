#include <cstring>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/binary_view_util.h"
#include <gtest/gtest.h>

#include "ingest/cast.h"
#include "ingest/test_samples.h"

namespace fletching::ingest {
namespace {

using samples::ArrayOf;
using samples::ArrayPtr;
using samples::BatchOf;

std::shared_ptr<arrow::Buffer> Offsets(std::vector<int32_t> offsets) {
  return arrow::Buffer::FromVector(std::move(offsets));
}

ArrayPtr Text(std::vector<int32_t> offsets, const std::string& bytes) {
  const auto rows = static_cast<int64_t>(offsets.size()) - 1;
  return std::make_shared<arrow::StringArray>(rows, Offsets(std::move(offsets)),
                                              arrow::Buffer::FromString(bytes));
}

ArrayPtr Lists(std::vector<int32_t> offsets, const ArrayPtr& values) {
  const auto rows = static_cast<int64_t>(offsets.size()) - 1;
  return std::make_shared<arrow::ListArray>(arrow::list(values->type()), rows,
                                            Offsets(std::move(offsets)), values);
}

ArrayPtr Dictionary(std::string_view indices, const ArrayPtr& values) {
  return std::make_shared<arrow::DictionaryArray>(arrow::dictionary(arrow::int8(), values->type()),
                                                  ArrayOf(arrow::int8(), indices), values);
}

void ExpectRefused(const ArrayPtr& column) {
  const Status status = ValidateColumn(*column);
  ASSERT_FALSE(status.ok()) << column->type()->ToString();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidArgument) << status;
}

TEST(Validate, AdmitsEveryTypeAndEverySlice) {
  const auto batch = samples::EveryType();
  for (int64_t first = 0; first <= 6; ++first) {
    for (int64_t count = 0; first + count <= 6; ++count) {
      const Status status = ValidateBatch(*batch->Slice(first, count));
      EXPECT_TRUE(status.ok()) << first << "+" << count << ": " << status;
    }
  }
}

TEST(Validate, RefusesOffsetsThatLie) {
  ExpectRefused(Text({0, 4}, "abc"));
  ExpectRefused(Text({0, 2, 1, 3}, "abc"));
  ExpectRefused(Text({-1, 2}, "abc"));
  ExpectRefused(Text({0, 1 << 30}, "abc"));
  const ArrayPtr values = ArrayOf(arrow::int32(), "[1, 2, 3]");
  ExpectRefused(Lists({0, 4}, values));
  ExpectRefused(Lists({0, 2, 1, 3}, values));
  ExpectRefused(Lists({-1, 2}, values));
  ExpectRefused(Lists({0, 1 << 30, 3}, values));
  ExpectRefused(std::make_shared<arrow::FixedSizeListArray>(
      arrow::fixed_size_list(arrow::int32(), 2), 2, values));
}

TEST(Validate, RefusesBuffersThatAreTooShort) {
  ExpectRefused(std::make_shared<arrow::Int64Array>(3, arrow::Buffer::FromString("only ten b")));
  ExpectRefused(
      std::make_shared<arrow::StringArray>(3, Offsets({0, 1}), arrow::Buffer::FromString("abc")));
  ExpectRefused(
      std::make_shared<arrow::Int8Array>(20, arrow::Buffer::FromString("twenty bytes of data"),
                                         arrow::Buffer::FromString("\x0f"), 16));
}

TEST(Validate, RefusesBrokenUtf8EvenInsideListsAndDictionaries) {
  const ArrayPtr broken = Text({0, 1, 3}, "a\xc3\x28");
  ExpectRefused(broken);
  ExpectRefused(Lists({0, 2}, broken));
  ExpectRefused(Dictionary("[0, 1]", broken));
  ExpectRefused(Dictionary("[1]", broken));
}

TEST(Validate, RefusesDictionaryIndicesOutOfRange) {
  const ArrayPtr values = ArrayOf(arrow::utf8(), R"(["a", "b"])");
  ExpectRefused(Dictionary("[0, 2]", values));
  ExpectRefused(Dictionary("[-1]", values));
  EXPECT_TRUE(ValidateColumn(*Dictionary("[0, null, 1]", values)).ok());
}

TEST(Validate, RefusesDictionaryValuesWhoseOffsetsLie) {
  // More values than rows, so only those that are named are looked at.
  ExpectRefused(Dictionary("[2]", Text({0, 1, 2, 9, 3}, "abc")));
  ExpectRefused(Dictionary("[3]", Text({0, 1, 2, 9, 3}, "abc")));
}

TEST(Validate, RefusesAWrongNullCount) {
  const auto data = ArrayOf(arrow::int32(), "[1, null, 3]")->data()->Copy();
  data->null_count = 0;
  ExpectRefused(arrow::MakeArray(data));
  const auto list = ArrayOf(arrow::list(arrow::int32()), "[[1], null]")->data()->Copy();
  list->null_count = 2;
  ExpectRefused(arrow::MakeArray(list));
}

TEST(Validate, RefusesTimesOutsideOfADay) {
  ExpectRefused(ArrayOf(arrow::time32(arrow::TimeUnit::SECOND), "[86400]"));
  ExpectRefused(ArrayOf(arrow::time64(arrow::TimeUnit::MICRO), "[-1]"));
}

TEST(Validate, RefusesColumnsOfDifferentLengthsNamingTheColumn) {
  const auto batch = arrow::RecordBatch::Make(
      arrow::schema({arrow::field("a", arrow::int8()), arrow::field("b", arrow::int8())}), 2,
      {ArrayOf(arrow::int8(), "[1, 2]"), ArrayOf(arrow::int8(), "[1]")});
  const Status status = ValidateBatch(*batch);
  EXPECT_NE(status.message().find("column 'b'"), std::string::npos) << status;
  const auto broken = BatchOf({"text"}, {Text({0, 4}, "abc")});
  EXPECT_NE(ValidateBatch(*broken).message().find("column 'text'"), std::string::npos);
}

TEST(Validate, RefusesAColumnOfAnotherTypeThanItsField) {
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("a", arrow::int8())}), 1,
                                              {ArrayOf(arrow::utf8(), R"(["x"])")});
  EXPECT_FALSE(ValidateBatch(*batch).ok());
}

// A view of a megabyte, named by many rows: Arrow alone would check the megabyte for each.
TEST(Validate, RefusesViewsThatUnfoldToGigabytes) {
  const std::string text(1 << 20, 'x');
  const auto view = arrow::util::ToNonInlineBinaryView(text.data(), 1 << 20, 0, 0);
  std::vector<arrow::BinaryViewType::c_type> views(60'000, view);
  const ArrayPtr bomb = std::make_shared<arrow::StringViewArray>(
      arrow::utf8_view(), 60'000, arrow::Buffer::FromVector(std::move(views)),
      arrow::BufferVector{arrow::Buffer::FromString(text)});
  const Status status = ValidateColumn(*bomb);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), ErrorCode::kTooLarge) << status;
}

// Slices of one batch must not each pay for the whole batch's values.
TEST(Validate, ChecksOnlyWhatASliceCanReach) {
  const ArrayPtr values = Text({0, 1, 2, 3},
                               "a\xff"
                               "c");
  const ArrayPtr lists = Lists({0, 1, 2, 3}, values);
  EXPECT_TRUE(ValidateColumn(*lists->Slice(0, 1)).ok());
  EXPECT_FALSE(ValidateColumn(*lists->Slice(1, 1)).ok());
  EXPECT_TRUE(ValidateColumn(*lists->Slice(2, 1)).ok());
}

}  // namespace
}  // namespace fletching::ingest
