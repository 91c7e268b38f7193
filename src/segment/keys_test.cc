// Keys as bytes and back.
#include "segment/keys.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

namespace fletching::segment {
namespace {

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::string TextOf(const KeyBatch& keys, int64_t i) {
  return {reinterpret_cast<const char*>(keys.Data(i)), keys.Size(i)};
}

TableSchema TwoTexts() {
  TableSchema schema;
  schema.columns = {{.name = "a", .type = arrow::utf8(), .nullable = false},
                    {.name = "b", .type = arrow::utf8(), .nullable = false}};
  schema.key = {"a", "b"};
  return schema;
}

TEST(Keys, DifferInBytesWhereverTheirPartsAreSplit) {
  const auto keys = EncodeKeys({Texts({"ab", "a", ""}), Texts({"c", "bc", "abc"})}).ValueOrDie();
  EXPECT_NE(TextOf(keys, 0), TextOf(keys, 1));
  EXPECT_NE(TextOf(keys, 0), TextOf(keys, 2));
  EXPECT_NE(TextOf(keys, 1), TextOf(keys, 2));
  std::vector<ByteSpan> spans;
  for (int64_t i = 0; i < keys.count; ++i) spans.emplace_back(keys.Data(i), keys.Size(i));
  const auto parts = DecodeKeys(TwoTexts(), spans).ValueOrDie();
  EXPECT_TRUE(parts[0]->Equals(Texts({"ab", "a", ""})));
  EXPECT_TRUE(parts[1]->Equals(Texts({"c", "bc", "abc"})));
}

TEST(Keys, TakeSlicesForWhatTheyShow) {
  const auto keys = EncodeKeys({Texts({"x", "yy", "zzz"})->Slice(1, 2)}).ValueOrDie();
  EXPECT_EQ(keys.count, 2);
  EXPECT_EQ(TextOf(keys, 0), "yy");
  EXPECT_EQ(TextOf(keys, 1), "zzz");
}

TEST(Keys, OfMoreThanTheirLengthCanSayAreRefused) {
  EXPECT_TRUE(EncodeKeys({Texts({std::string(65'535, 'x')})}).ok());
  for (const KeyArrays& columns :
       {KeyArrays{Texts({std::string(65'536, 'x')})},
        KeyArrays{Texts({std::string(40'000, 'x')}), Texts({std::string(40'000, 'x')})}}) {
    const auto refused = EncodeKeys(columns);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(CodeOf(refused.status()), ErrorCode::kInvalidArgument);
  }
}

TEST(Keys, ThatDoNotAddUpAreCorruption) {
  const std::vector<std::vector<uint8_t>> damaged = {
      {}, {1, 0, 0}, {9, 0, 0, 0, 'a'}, {1, 0, 0, 0, 'a', 0, 0, 0, 0, 'b'}};
  for (const std::vector<uint8_t>& bytes : damaged) {
    EXPECT_FALSE(DecodeKeys(TwoTexts(), {ByteSpan(bytes)}).ok());
  }
}

}  // namespace
}  // namespace fletching::segment
