#include "api/ipc_body.h"

#include <string>
#include <vector>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/builder.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/reader.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"
#include <gtest/gtest.h>

#include "api/ipc_answer.h"

namespace fletching::api {
namespace {

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return *builder.Finish();
}
std::shared_ptr<arrow::Array> Ints(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return *builder.Finish();
}

TableSchema Pair() {
  TableSchema schema;
  schema.columns = {{.name = "user", .type = arrow::utf8(), .nullable = false},
                    {.name = "item", .type = arrow::int64(), .nullable = false},
                    {.name = "score", .type = arrow::float32()}};
  schema.key = {"user", "item"};
  return schema;
}

Body Stream(const std::shared_ptr<arrow::Schema>& schema,
            const std::vector<arrow::ArrayVector>& batches) {
  auto sink = *arrow::io::BufferOutputStream::Create();
  auto writer = *arrow::ipc::MakeStreamWriter(sink, schema);
  for (const arrow::ArrayVector& columns : batches) {
    const auto batch = arrow::RecordBatch::Make(schema, columns[0]->length(), columns);
    EXPECT_TRUE(writer->WriteRecordBatch(*batch).ok());
  }
  EXPECT_TRUE(writer->Close().ok());
  return Body::FromString((*sink->Finish())->ToString());
}

std::shared_ptr<arrow::Schema> PairStream(const std::string& columns = R"(["score"])") {
  return arrow::schema({arrow::field("item", arrow::int64()), arrow::field("user", arrow::utf8())},
                       arrow::key_value_metadata({"columns"}, {columns}));
}

std::string WhyNot(const Body& body) {
  const auto keys = ParseIpcKeys(body, Pair());
  return keys.ok() ? "taken" : keys.status().message();
}

TEST(IpcBody, JoinsBatchesInKeyOrder) {
  const Body body =
      Stream(PairStream(),
             {{Ints({1}), Texts({"a"})}, {Ints({}), Texts({})}, {Ints({2, 3}), Texts({"b", "c"})}});
  const auto keys = ParseIpcKeys(body, Pair());
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_TRUE(keys->keys[0]->Equals(Texts({"a", "b", "c"})));
  EXPECT_TRUE(keys->keys[1]->Equals(Ints({1, 2, 3})));
  EXPECT_EQ(*keys->columns, std::vector<std::string>{"score"});
}

TEST(IpcBody, TakesAStreamWithoutBatches) {
  const auto keys = ParseIpcKeys(Stream(PairStream("[]"), {}), Pair());
  ASSERT_TRUE(keys.ok()) << keys.status();
  EXPECT_EQ(keys->keys[0]->length(), 0);
  EXPECT_TRUE(keys->columns->empty());
}

TEST(IpcBody, NamesWhatIsWrong) {
  const auto user = arrow::field("user", arrow::utf8());
  const auto item = arrow::field("item", arrow::int64());
  EXPECT_EQ(WhyNot(Stream(arrow::schema({user}), {})), "keys lack the key column 'item'");
  EXPECT_EQ(WhyNot(Stream(arrow::schema({user, item, user}), {})),
            "keys repeat the key column 'user'");
  EXPECT_EQ(WhyNot(Stream(arrow::schema({user, item, arrow::field("x", arrow::utf8())}), {})),
            "'x' is no key column of the table");
  EXPECT_EQ(WhyNot(Stream(PairStream("{}"), {})),
            "schema metadata 'columns' must be a JSON list of column names, or *");
  EXPECT_EQ(WhyNot(Stream(PairStream("[1]"), {})),
            "schema metadata 'columns' must be a JSON list of column names, or *");
  EXPECT_NE(WhyNot(Stream(PairStream("["), {})), "taken");
}

TEST(IpcBody, RefusesEveryCutOfAGoodStream) {
  const Body good = Stream(PairStream(), {{Ints({1, 2}), Texts({"a", "b"})}});
  ASSERT_EQ(WhyNot(good), "taken");
  const std::string text(good.text());
  // Up to the end of the batch; the eight bytes after it only say that no more follows.
  for (size_t length = 0; length < text.size() - 8; ++length) {
    const auto keys = ParseIpcKeys(Body::FromString(text.substr(0, length)), Pair());
    if (keys.ok()) {
      EXPECT_EQ(keys->keys[0]->length(), 0) << "cut at " << length;  // between schema and batch
    } else {
      EXPECT_EQ(CodeOf(keys.status()), ErrorCode::kInvalidArgument) << keys.status();
    }
  }
}

TEST(IpcBody, SurvivesEveryFlippedBit) {
  const std::string text(Stream(PairStream(), {{Ints({1, 2}), Texts({"a", "b"})}}).text());
  for (size_t at = 0; at < text.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = text;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      const auto keys = ParseIpcKeys(Body::FromString(std::move(bad)), Pair());
      if (!keys.ok()) continue;
      for (const auto& key : keys->keys) EXPECT_TRUE(key->ValidateFull().ok());
    }
  }
}

TEST(IpcBody, WritesWhatArrowReads) {
  arrow::UInt32Builder places;
  EXPECT_TRUE(places.AppendValues({0, 7}).ok());
  const auto batch = arrow::RecordBatch::Make(arrow::schema({arrow::field("v", arrow::utf8())}), 2,
                                              {Texts({"x", "y"})});
  for (const bool sparse : {false, true}) {
    const std::shared_ptr<arrow::Array> positions = sparse ? *places.Finish() : nullptr;
    const auto bytes = WriteIpcStream(batch, positions);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    auto source = std::make_shared<arrow::io::BufferReader>(*bytes);
    const auto back = *(*arrow::ipc::RecordBatchStreamReader::Open(source))->ToRecordBatches();
    ASSERT_EQ(back.size(), 1u);
    EXPECT_EQ(back[0]->num_columns(), sparse ? 2 : 1);
    EXPECT_TRUE(back[0]->GetColumnByName("v")->Equals(batch->column(0)));
    if (!sparse) continue;
    EXPECT_EQ(back[0]->schema()->field(0)->name(), "_idx");
    EXPECT_FALSE(back[0]->schema()->field(0)->nullable());
    EXPECT_TRUE(back[0]->column(0)->Equals(positions));
  }
}

}  // namespace
}  // namespace fletching::api
