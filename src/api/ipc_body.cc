#include "api/ipc_body.h"

#include <algorithm>
#include <utility>

#include "arrow/array.h"
#include "arrow/array/concatenate.h"
#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/key_value_metadata.h"

#include "api/json_tree.h"
#include "base/bytes.h"
#include "ingest/cast.h"
#include "ingest/sources.h"

namespace fletching::api {
namespace {

constexpr int64_t kUnfoldedBytesMin = int64_t{16} << 20;
constexpr std::string_view kAllColumns = "*";

Result<std::vector<std::string>> ParseColumnList(const std::string& json) {
  ARROW_ASSIGN_OR_RAISE(const JsonNode list, ParseJson(json));
  bool good = list.Is(JsonNode::Kind::kArray);
  std::vector<std::string> names;
  for (const JsonNode& name : list.items) {
    good = good && name.Is(JsonNode::Kind::kString);
    names.push_back(name.text);
  }
  if (!good) {
    return InvalidArgument("schema metadata 'columns' must be a JSON list of column names, or *");
  }
  return names;
}

Status ParseMetadata(const arrow::Schema& stream, KeyStream* request) {
  if (stream.metadata() == nullptr) return Status::OK();
  const arrow::KeyValueMetadata& metadata = *stream.metadata();
  if (const int at = metadata.FindKey("columns"); at >= 0) {
    request->all_columns = metadata.value(at) == kAllColumns;
    if (!request->all_columns) {
      ARROW_ASSIGN_OR_RAISE(request->columns, ParseColumnList(metadata.value(at)));
    }
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

bool IsAscii(ByteSpan text) {
  uint64_t all = 0;
  size_t at = 0;
  for (; at + 32 <= text.size(); at += 32) {
    all |= LoadAs<uint64_t>(text.data() + at) | LoadAs<uint64_t>(text.data() + at + 8) |
           LoadAs<uint64_t>(text.data() + at + 16) | LoadAs<uint64_t>(text.data() + at + 24);
  }
  for (; at < text.size(); ++at) all |= text[at];
  return (all & 0x8080808080808080) == 0;
}

// Whether offsets rise within the text and the text is ASCII. Then every value is good UTF-8, and a
// thousand keys are checked in a microsecond instead of five.
bool IsPlainText(const arrow::Array& column) {
  if (column.type_id() != arrow::Type::STRING || column.length() == 0) return false;
  const auto& texts = static_cast<const arrow::StringArray&>(column);
  if (texts.value_data() == nullptr) return false;
  const int32_t* offsets = texts.raw_value_offsets();
  bool rising = offsets[0] >= 0;
  for (int64_t i = 0; i < texts.length(); ++i) rising &= offsets[i] <= offsets[i + 1];
  if (!rising || offsets[texts.length()] > texts.value_data()->size()) return false;
  return IsAscii({texts.value_data()->data() + offsets[0],
                  static_cast<size_t>(offsets[texts.length()] - offsets[0])});
}

Status CheckBatch(const arrow::RecordBatch& batch) {
  for (const std::shared_ptr<arrow::Array>& column : batch.columns()) {
    // The cheap check makes sure that offsets and text are where their sizes say.
    if (column->Validate().ok() && IsPlainText(*column)) continue;
    return ingest::ValidateBatch(batch);
  }
  return Status::OK();
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

}  // namespace

Result<KeyStream> ParseKeySchema(const arrow::Schema& stream, const TableSchema& schema) {
  KeyStream parsed;
  ARROW_RETURN_NOT_OK(ParseMetadata(stream, &parsed));
  ARROW_ASSIGN_OR_RAISE(parsed.places, FindKeyColumns(stream, schema));
  return parsed;
}

Result<KeyArrays> KeysOfBatch(const arrow::RecordBatch& batch, const KeyStream& stream) {
  ARROW_RETURN_NOT_OK(CheckBatch(batch));
  KeyArrays keys;
  for (const int place : stream.places) keys.push_back(batch.column(place));
  return keys;
}

Result<IpcKeysRequest> ParseIpcKeys(const Body& body, const TableSchema& schema) {
  // Keys that are not compressed stay where they are; compressed ones are worth this much.
  const int64_t piece_bytes_max = std::max(kUnfoldedBytesMin, 4 * body.size_bytes);
  ARROW_ASSIGN_OR_RAISE(auto reader,
                        ingest::OpenIpcStream(body.Open(), {.piece_bytes_max = piece_bytes_max}));
  const arrow::Schema& stream = *reader->schema();
  ARROW_ASSIGN_OR_RAISE(KeyStream header, ParseKeySchema(stream, schema));
  std::vector<arrow::ArrayVector> pieces(header.places.size());
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_ASSIGN_OR_RAISE(KeyArrays keys, KeysOfBatch(*batch, header));
    if (batch->num_rows() == 0) continue;
    for (size_t i = 0; i < keys.size(); ++i) pieces[i].push_back(std::move(keys[i]));
  }
  IpcKeysRequest request;
  ARROW_ASSIGN_OR_RAISE(request.keys, Join(std::move(pieces), stream, header.places));
  request.columns = std::move(header.columns);
  request.all_columns = header.all_columns;
  request.event_time_us = header.event_time_us;
  return request;
}

}  // namespace fletching::api
