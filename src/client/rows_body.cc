#include "client/rows_body.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "arrow/array.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/buffer.h"
#include "arrow/compute/api_vector.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/byte_size.h"
#include "arrow/util/key_value_metadata.h"

#include "api/json_text.h"
#include "api/json_tree.h"
#include "api/schema_json.h"
#include "ingest/cast.h"
#include "ingest/sources.h"

namespace fletching::client {
namespace {

constexpr int64_t kSliceBytes = int64_t{4} << 20;

std::string JsonList(const std::vector<std::string>& names) {
  std::string text = "[";
  for (const std::string& name : names) {
    if (text.size() > 1) text += ',';
    api::AppendJsonString(&text, name);
  }
  return text + "]";
}

Status NoAnswer(const std::string& why) {
  return Unavailable("the server's answer cannot be read: " + why);
}

Result<std::shared_ptr<arrow::RecordBatch>> OnlyBatch(const std::shared_ptr<arrow::Buffer>& body) {
  ingest::DecodeLimits limits;
  limits.batch_rows_max = std::numeric_limits<int64_t>::max();
  limits.piece_bytes_max = std::max(limits.piece_bytes_max, 16 * body->size());
  ARROW_ASSIGN_OR_RAISE(
      auto reader, ingest::OpenIpcStream(std::make_shared<arrow::io::BufferReader>(body), limits));
  ARROW_ASSIGN_OR_RAISE(auto batch, reader->Next());
  if (batch == nullptr) return arrow::RecordBatch::MakeEmpty(reader->schema());
  ARROW_ASSIGN_OR_RAISE(const auto second, reader->Next());
  if (second != nullptr) return NoAnswer("it has several batches");
  ARROW_RETURN_NOT_OK(ingest::ValidateBatch(*batch));
  return batch;
}

// Answers of one shape share a schema, and making one anew costs as much as checking the rows.
std::shared_ptr<arrow::Schema> WithoutIndex(const std::shared_ptr<arrow::Schema>& whole) {
  struct Kept {
    std::shared_ptr<arrow::Schema> whole;
    std::shared_ptr<arrow::Schema> values;
  };
  thread_local Kept kept;
  if (kept.whole != whole) kept = {whole, whole->RemoveField(0).ValueOrDie()};
  return kept.values;
}

// Takes _idx off the batch and checks it: rising, and within the keys.
Result<std::shared_ptr<arrow::Array>> TakePositions(std::shared_ptr<arrow::RecordBatch>* batch,
                                                    int64_t key_count) {
  const arrow::Schema& schema = *(*batch)->schema();
  if (schema.num_fields() == 0 || schema.field(0)->name() != api::kIndexColumn ||
      schema.field(0)->type()->id() != arrow::Type::UINT32) {
    return NoAnswer("its first column is not _idx");
  }
  const std::shared_ptr<arrow::Array> positions = (*batch)->column(0);
  const uint32_t* values = positions->data()->GetValues<uint32_t>(1);
  int64_t last = -1;
  for (int64_t row = 0; row < positions->length(); ++row) {
    if (values[row] <= last || values[row] >= key_count) return NoAnswer("_idx does not rise");
    last = values[row];
  }
  arrow::ArrayDataVector columns = (*batch)->column_data();
  columns.erase(columns.begin());
  *batch = arrow::RecordBatch::Make(WithoutIndex((*batch)->schema()), (*batch)->num_rows(),
                                    std::move(columns));
  return positions;
}

// A row for every key, nulls where the key was not found.
Result<std::shared_ptr<arrow::RecordBatch>> Spread(const arrow::RecordBatch& hits,
                                                   const arrow::Array& positions,
                                                   int64_t key_count) {
  arrow::Int32Builder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(key_count));
  const uint32_t* values = positions.data()->GetValues<uint32_t>(1);
  int64_t hit = 0;
  for (int64_t key = 0; key < key_count; ++key) {
    if (hit < positions.length() && values[hit] == key) {
      builder.UnsafeAppend(static_cast<int32_t>(hit++));
    } else {
      builder.UnsafeAppendNull();
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto rows, builder.Finish());
  arrow::ArrayVector columns;
  for (const auto& column : hits.columns()) {
    ARROW_ASSIGN_OR_RAISE(auto spread, arrow::compute::Take(*column, *rows));
    columns.push_back(std::move(spread));
  }
  return arrow::RecordBatch::Make(hits.schema(), key_count, std::move(columns));
}

// What a column is sent as: dictionaries, whose messages would have to go along, are sent plain.
std::shared_ptr<arrow::DataType> Unfolded(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() != arrow::Type::DICTIONARY) return type;
  const auto& values = static_cast<const arrow::DictionaryType&>(*type).value_type();
  if (values->id() == arrow::Type::STRING_VIEW) return arrow::utf8();
  if (values->id() == arrow::Type::BINARY_VIEW) return arrow::binary();
  return values;
}

class SlicingReader final : public arrow::RecordBatchReader {
 public:
  SlicingReader(std::shared_ptr<arrow::RecordBatchReader> source,
                std::function<Status(int64_t)> on_rows)
      : source_(std::move(source)), on_rows_(std::move(on_rows)) {
    arrow::FieldVector fields = source_->schema()->fields();
    for (auto& field : fields) field = field->WithType(Unfolded(field->type()));
    schema_ = arrow::schema(std::move(fields));
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    if (on_rows_) ARROW_RETURN_NOT_OK(on_rows_(row_count_));
    while (batch_ == nullptr || at_ == batch_->num_rows()) {
      at_ = 0;
      ARROW_RETURN_NOT_OK(source_->ReadNext(&batch_));
      if (batch_ == nullptr) {
        *out = nullptr;
        return Status::OK();
      }
      ARROW_ASSIGN_OR_RAISE(const int64_t bytes, arrow::util::ReferencedBufferSize(*batch_));
      const int64_t row_bytes = bytes / std::max<int64_t>(batch_->num_rows(), 1) + 1;
      slice_rows_ = std::max<int64_t>(kSliceBytes / row_bytes, 1);
    }
    arrow::ArrayVector columns = batch_->Slice(at_, slice_rows_)->columns();
    const int64_t row_count = std::min(slice_rows_, batch_->num_rows() - at_);
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i]->type_id() != arrow::Type::DICTIONARY) continue;
      const auto& plain = schema_->field(static_cast<int>(i))->type();
      ARROW_ASSIGN_OR_RAISE(columns[i], ingest::CastColumn(columns[i], plain, {}));
    }
    *out = arrow::RecordBatch::Make(schema_, row_count, std::move(columns));
    at_ += row_count;
    row_count_ += (*out)->num_rows();
    return Status::OK();
  }

 private:
  std::shared_ptr<arrow::RecordBatchReader> source_;
  std::function<Status(int64_t)> on_rows_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t at_ = 0;
  int64_t slice_rows_ = 0;
  int64_t row_count_ = 0;
};

// The start of every request of one shape. Making it is half the cost of a small request, so a
// thread keeps the one it used last.
struct KeysHead {
  std::vector<std::string> names;
  arrow::DataTypeVector types;
  std::optional<std::vector<std::string>> columns;
  std::shared_ptr<arrow::Schema> schema;
  std::shared_ptr<arrow::Buffer> message;

  bool Fits(const KeysBody& body) const {
    if (schema == nullptr || names != body.names || columns != body.columns) return false;
    for (size_t i = 0; i < types.size(); ++i) {
      if (!types[i]->Equals(*body.keys[i]->type())) return false;
    }
    return true;
  }
};

Result<KeysHead> MakeHead(const KeysBody& body) {
  KeysHead head{
      .names = body.names, .types = {}, .columns = body.columns, .schema = {}, .message = {}};
  arrow::FieldVector fields;
  for (size_t i = 0; i < body.keys.size(); ++i) {
    head.types.push_back(body.keys[i]->type());
    fields.push_back(arrow::field(body.names[i], body.keys[i]->type()));
  }
  std::vector<std::string> names;
  std::vector<std::string> values;
  if (body.event_time_us.has_value()) {
    names.emplace_back("event_time");
    values.push_back(std::to_string(*body.event_time_us));
  } else {
    names.emplace_back("columns");
    values.push_back(body.columns.has_value() ? JsonList(*body.columns) : "*");
  }
  head.schema = arrow::schema(std::move(fields), arrow::key_value_metadata(names, values));
  ARROW_ASSIGN_OR_RAISE(head.message, arrow::ipc::SerializeSchema(*head.schema));
  return head;
}

Result<KeysHead> HeadOf(const KeysBody& body) {
  if (body.event_time_us.has_value()) return MakeHead(body);
  thread_local KeysHead kept;
  if (!kept.Fits(body)) {
    ARROW_ASSIGN_OR_RAISE(kept, MakeHead(body));
  }
  return kept;
}

Result<int64_t> IntMember(const api::JsonNode& root, std::string_view name) {
  const api::JsonNode* node = root.Find(name);
  if (node == nullptr || !node->Is(api::JsonNode::Kind::kInt)) {
    return NoAnswer("'" + std::string(name) + "' is no number");
  }
  return node->integer;
}

Result<GenerationInfo> ReadGeneration(const api::JsonNode& node) {
  GenerationInfo info;
  const auto text = [&](std::string_view name) {
    const api::JsonNode* member = node.Find(name);
    return member == nullptr ? std::string() : member->text;
  };
  info.name = text("name");
  ARROW_ASSIGN_OR_RAISE(info.loaded_time_us, IntMember(node, "loaded_time_us"));
  info.has_previous = node.Find("previous") != nullptr;
  info.previous = text("previous");
  info.rejected = text("rejected");
  return info;
}

}  // namespace

Result<std::shared_ptr<arrow::Buffer>> WriteKeys(const KeysBody& body) {
  const int64_t count = body.keys.empty() ? 0 : body.keys[0]->length();
  for (const auto& column : body.keys) {
    if (column->length() != count) return InvalidArgument("key columns differ in length");
  }
  ARROW_ASSIGN_OR_RAISE(const KeysHead head, HeadOf(body));
  const auto batch = arrow::RecordBatch::Make(head.schema, count, body.keys);
  const arrow::ipc::IpcWriteOptions options;
  arrow::ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(*batch, options, &payload));
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create(
                                       head.message->size() + payload.body_length + 1024));
  ARROW_RETURN_NOT_OK(sink->Write(head.message));
  int32_t ignored = 0;
  ARROW_RETURN_NOT_OK(arrow::ipc::WriteIpcPayload(payload, options, sink.get(), &ignored));
  constexpr uint8_t kEnd[8] = {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
  ARROW_RETURN_NOT_OK(sink->Write(kEnd, sizeof(kEnd)));
  return sink->Finish();
}

Result<ReadResult> ReadRows(const std::shared_ptr<arrow::Buffer>& body, int64_t key_count,
                            bool hits_only, uint64_t version) {
  auto batch = OnlyBatch(body);
  if (!batch.ok()) return NoAnswer(batch.status().message());
  ReadResult result;
  result.batch = batch.MoveValueUnsafe();
  result.version = version;
  ARROW_ASSIGN_OR_RAISE(const auto positions, TakePositions(&result.batch, key_count));
  result.found_count = positions->length();
  ARROW_ASSIGN_OR_RAISE(const auto found, arrow::AllocateEmptyBitmap(key_count));
  const uint32_t* values = positions->data()->GetValues<uint32_t>(1);
  for (int64_t row = 0; row < positions->length(); ++row) {
    found->mutable_data()[values[row] / 8] |= static_cast<uint8_t>(1U << (values[row] % 8));
  }
  result.found = found;
  if (hits_only) {
    result.positions = positions;
  } else if (result.found_count < key_count) {
    ARROW_ASSIGN_OR_RAISE(result.batch, Spread(*result.batch, *positions, key_count));
  }
  return result;
}

std::shared_ptr<arrow::RecordBatchReader> InSlices(
    std::shared_ptr<arrow::RecordBatchReader> source,
    std::function<Status(int64_t row_count)> on_rows) {
  return std::make_shared<SlicingReader>(std::move(source), std::move(on_rows));
}

Result<TableInfo> ReadTableInfo(const std::string& json) {
  const auto root = api::ParseJson(json);
  if (!root.ok()) return NoAnswer(root.status().message());
  const api::JsonNode* schema = root->Find("schema");
  const api::JsonNode* name = root->Find("name");
  const api::JsonNode* health = root->Find("health");
  if (schema == nullptr || name == nullptr || health == nullptr) {
    return NoAnswer("it does not describe a table");
  }
  api::SchemaOrFault parsed = api::ParseSchemaNode(*schema);
  if (!parsed.status.ok()) return NoAnswer(parsed.status.message());
  TableInfo info;
  info.name = name->text;
  info.schema = std::move(parsed.schema);
  ARROW_ASSIGN_OR_RAISE(info.row_count, IntMember(*root, "row_count"));
  ARROW_ASSIGN_OR_RAISE(info.disk_bytes, IntMember(*root, "disk_bytes"));
  ARROW_ASSIGN_OR_RAISE(info.segment_count, IntMember(*root, "segment_count"));
  ARROW_ASSIGN_OR_RAISE(const int64_t version, IntMember(*root, "version"));
  info.version = static_cast<uint64_t>(version);
  if (const api::JsonNode* generation = root->Find("generation"); generation != nullptr) {
    ARROW_ASSIGN_OR_RAISE(info.generation, ReadGeneration(*generation));
  }
  if (health->text != "ok") info.health = MakeError(ErrorCode::kCorruption, health->text);
  return info;
}

}  // namespace fletching::client
