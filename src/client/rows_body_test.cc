#include "client/rows_body.h"

#include "arrow/array.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/buffer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include <gtest/gtest.h>

#include "api/ipc_answer.h"

namespace fletching::client {
namespace {

template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> ArrayOf(const std::vector<Value>& values) {
  Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Buffer> Answer(const std::vector<float>& values,
                                      const std::vector<uint32_t>& positions) {
  const auto schema = arrow::schema({arrow::field("f", arrow::float32())});
  const auto batch = arrow::RecordBatch::Make(schema, static_cast<int64_t>(values.size()),
                                              {ArrayOf<arrow::FloatBuilder>(values)});
  return *api::WriteIpcStream(batch, ArrayOf<arrow::UInt32Builder>(positions));
}

TEST(RowsBody, PointsIntoTheAnswerWhenEveryKeyWasFound) {
  const auto body = Answer({1, 2, 3}, {0, 1, 2});
  const ReadResult rows = ReadRows(body, 3, false, 7).ValueOrDie();
  EXPECT_EQ(rows.found_count, 3);
  EXPECT_EQ(rows.version, 7u);
  const uint8_t* values = rows.batch->column(0)->data()->buffers[1]->data();
  EXPECT_GE(values, body->data());
  EXPECT_LT(values, body->data() + body->size());
}

TEST(RowsBody, PutsMissesWhereTheyBelong) {
  const ReadResult rows = ReadRows(Answer({1, 2}, {1, 3}), 5, false, 0).ValueOrDie();
  EXPECT_EQ(rows.batch->column(0)->ToString(), "[\n  null,\n  1,\n  null,\n  2,\n  null\n]");
  EXPECT_EQ(rows.found->data()[0], 0b01010);
}

TEST(RowsBody, KeepsHitsAloneWhenAsked) {
  const ReadResult rows = ReadRows(Answer({1, 2}, {1, 3}), 5, true, 0).ValueOrDie();
  EXPECT_EQ(rows.batch->num_rows(), 2);
  EXPECT_EQ(rows.positions->length(), 2);
}

TEST(RowsBody, RefusesPositionsThatLie) {
  EXPECT_FALSE(ReadRows(Answer({1, 2}, {1, 1}), 5, false, 0).ok());
  EXPECT_FALSE(ReadRows(Answer({1, 2}, {3, 1}), 5, false, 0).ok());
  EXPECT_FALSE(ReadRows(Answer({1, 2}, {1, 5}), 5, false, 0).ok());
}

TEST(RowsBody, ReadsNoAnswerOutOfAnyPrefix) {
  const auto body = Answer({1, 2, 3}, {0, 1, 2});
  for (int64_t length = 0; length < body->size() - 8; ++length) {
    const auto rows = ReadRows(arrow::SliceBuffer(body, 0, length), 3, false, 0);
    // A stream that ends after its schema is one without rows; HTTP knows whether it was cut.
    ASSERT_TRUE(!rows.ok() || rows->found_count == 0) << length;
  }
}

TEST(RowsBody, ReadsATableAndNothingElse) {
  const std::string json =
      R"({"name":"t","row_count":3,"disk_bytes":9,"segment_count":1,"version":2,"health":"ok",)"
      R"("schema":{"columns":{"id":{"dtype":"utf8","key":true,"nullable":false},)"
      R"("f":{"dtype":"float32"}}}})";
  const TableInfo info = ReadTableInfo(json).ValueOrDie();
  EXPECT_EQ(info.schema.key, std::vector<std::string>{"id"});
  EXPECT_EQ(info.row_count, 3);
  for (size_t length = 0; length < json.size(); ++length) {
    ASSERT_FALSE(ReadTableInfo(json.substr(0, length)).ok()) << length;
  }
}

TEST(RowsBody, SlicesLongBatches) {
  const auto schema = arrow::schema({arrow::field("f", arrow::float32())});
  const auto batch = arrow::RecordBatch::Make(
      schema, 3'000'000, {ArrayOf<arrow::FloatBuilder>(std::vector<float>(3'000'000))});
  int64_t heard = 0;
  auto slices = InSlices(*arrow::RecordBatchReader::Make({batch}), [&](int64_t rows) {
    heard = rows;
    return Status::OK();
  });
  int64_t rows = 0;
  int count = 0;
  while (auto slice = *slices->Next()) {
    rows += slice->num_rows();
    ++count;
  }
  EXPECT_EQ(rows, 3'000'000);
  EXPECT_EQ(heard, 3'000'000);
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace fletching::client
