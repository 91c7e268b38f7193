#include "api/ipc_body.h"

#include <utility>

#include "arrow/array.h"
#include "arrow/array/concatenate.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

#include "api/json_tree.h"
#include "api/schema_json.h"
#include "ingest/cast.h"
#include "ingest/sources.h"

namespace fletching::api {
namespace {

Result<std::vector<std::string>> ParseColumnList(const std::string& json) {
  ARROW_ASSIGN_OR_RAISE(const JsonNode list, ParseJson(json));
  bool good = list.Is(JsonNode::Kind::kArray);
  std::vector<std::string> names;
  for (const JsonNode& name : list.items) {
    good = good && name.Is(JsonNode::Kind::kString);
    names.push_back(name.text);
  }
  if (!good) {
    return InvalidArgument("schema metadata 'columns' must be a JSON list of column names");
  }
  return names;
}

Status ParseMetadata(const arrow::Schema& stream, IpcKeysRequest* request) {
  if (stream.metadata() == nullptr) return Status::OK();
  const arrow::KeyValueMetadata& metadata = *stream.metadata();
  if (const int at = metadata.FindKey("columns"); at >= 0) {
    ARROW_ASSIGN_OR_RAISE(request->columns, ParseColumnList(metadata.value(at)));
  }
  if (const int at = metadata.FindKey("event_time"); at >= 0) {
    auto micros = ParseJson(metadata.value(at));
    if (!micros.ok() || !micros->Is(JsonNode::Kind::kInt)) {
      return InvalidArgument(
          "schema metadata 'event_time' must be microseconds since 1970-01-01 UTC");
    }
    request->event_time_us = micros->integer;
  }
  return Status::OK();
}

// Where each key column stands in the stream. Errors: any missing, twice, or too many.
Result<std::vector<int>> FindKeyColumns(const arrow::Schema& stream, const TableSchema& schema) {
  std::vector<int> places;
  for (const std::string& name : schema.key) {
    const std::vector<int> found = stream.GetAllFieldIndices(name);
    if (found.size() != 1) {
      return InvalidArgument("keys " + std::string(found.empty() ? "lack" : "repeat") +
                             " the key column '" + name + "'");
    }
    places.push_back(found[0]);
  }
  if (stream.num_fields() != static_cast<int>(places.size())) {
    for (const std::string& name : stream.field_names()) {
      if (!schema.IsKey(name)) {
        return InvalidArgument("'" + name.substr(0, 128) + "' is no key column of the table");
      }
    }
  }
  return places;
}

Result<KeyArrays> Join(std::vector<arrow::ArrayVector> pieces, const arrow::Schema& stream,
                       const std::vector<int>& places) {
  KeyArrays keys;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].size() == 1) {
      keys.push_back(pieces[i][0]);
    } else if (pieces[i].empty()) {
      ARROW_ASSIGN_OR_RAISE(auto empty, arrow::MakeEmptyArray(stream.field(places[i])->type()));
      keys.push_back(std::move(empty));
    } else {
      // Batches may differ in their dictionaries; joining those is the reader's business.
      ARROW_ASSIGN_OR_RAISE(auto joined, arrow::Concatenate(pieces[i]));
      keys.push_back(std::move(joined));
    }
  }
  return keys;
}

int64_t StreamBytesGuess(const arrow::RecordBatch& batch) {
  // Schema and batch messages: about 150 bytes a column, each buffer padded to 8 bytes.
  int64_t bytes = 1024 + 256 * int64_t{batch.num_columns()};
  for (const auto& column : batch.column_data()) {
    for (const auto& buffer : column->buffers) {
      if (buffer != nullptr) bytes += buffer->size() + 64;
    }
    for (const auto& child : column->child_data) {
      for (const auto& buffer : child->buffers) {
        if (buffer != nullptr) bytes += buffer->size() + 64;
      }
    }
  }
  return bytes;
}

}  // namespace

Result<IpcKeysRequest> ParseIpcKeys(const Body& body, const TableSchema& schema) {
  ARROW_ASSIGN_OR_RAISE(auto reader, ingest::OpenIpcStream(body.Open(), ingest::DecodeLimits{}));
  const arrow::Schema& stream = *reader->schema();
  IpcKeysRequest request;
  ARROW_RETURN_NOT_OK(ParseMetadata(stream, &request));
  ARROW_ASSIGN_OR_RAISE(const std::vector<int> places, FindKeyColumns(stream, schema));
  std::vector<arrow::ArrayVector> pieces(places.size());
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(ingest::ValidateBatch(*batch));
    if (batch->num_rows() == 0) continue;
    for (size_t i = 0; i < places.size(); ++i) pieces[i].push_back(batch->column(places[i]));
  }
  ARROW_ASSIGN_OR_RAISE(request.keys, Join(std::move(pieces), stream, places));
  return request;
}

Result<std::shared_ptr<arrow::Buffer>> WriteIpcStream(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Array>& positions) {
  std::shared_ptr<arrow::RecordBatch> whole;
  const arrow::RecordBatch* answer = &batch;
  if (positions != nullptr) {
    const auto index = arrow::field(std::string(kIndexColumn), arrow::uint32(), false);
    ARROW_ASSIGN_OR_RAISE(whole, batch.AddColumn(0, index, positions));
    answer = whole.get();
  }
  ARROW_ASSIGN_OR_RAISE(auto sink,
                        arrow::io::BufferOutputStream::Create(StreamBytesGuess(*answer)));
  ARROW_ASSIGN_OR_RAISE(auto writer, arrow::ipc::MakeStreamWriter(sink, answer->schema()));
  ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*answer));
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Finish();
}

}  // namespace fletching::api
