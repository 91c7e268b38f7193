// Key values of a JSON body as arrays of the table's key types. Declared in json_request.h.
#include <limits>
#include <utility>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

#include "api/json_request.h"
#include "api/json_text.h"
#include "ingest/sources.h"

namespace fletching::api {
namespace {

using Kind = JsonKeyColumn::Kind;
using ArrayPtr = std::shared_ptr<arrow::Array>;

Status DoesNotFit(const JsonKeyColumn& column, std::string_view name, std::string_view why,
                  const arrow::DataType& type) {
  std::string text = "keys of column '";
  text.append(name).append("' are ").append(column.kind == Kind::kText ? "strings" : "numbers");
  text.append(why).append(", the column is ").append(TypeName(type));
  return InvalidArgument(std::move(text));
}

// The vectors move into the buffers: no copy of the text.
ArrayPtr TextArray(JsonKeyColumn* column) {
  const int64_t count = column->count();
  return std::make_shared<arrow::StringArray>(count,
                                              arrow::Buffer::FromVector(std::move(column->ends)),
                                              arrow::Buffer::FromString(std::move(column->text)));
}

template <typename ArrowType>
Result<ArrayPtr> WholeArray(JsonKeyColumn* column, std::string_view name) {
  using Value = typename ArrowType::c_type;
  using Limits = std::numeric_limits<Value>;
  const auto type = arrow::TypeTraits<ArrowType>::type_singleton();
  std::vector<Value> values;
  values.reserve(column->whole.size());
  for (const int64_t bits : column->whole) {
    // With above_int64 some are really unsigned; together with a negative one they fit no type.
    const bool fits =
        column->above_int64
            ? sizeof(Value) == 8 && !Limits::is_signed && !column->has_negative
            : (bits < 0 ? Limits::is_signed && bits >= static_cast<int64_t>(Limits::min())
                        : static_cast<uint64_t>(bits) <= static_cast<uint64_t>(Limits::max()));
    if (!fits) {
      return DoesNotFit(*column, name, " (" + std::to_string(bits) + " among them)", *type);
    }
    values.push_back(static_cast<Value>(bits));
  }
  const auto count = static_cast<int64_t>(values.size());
  return std::make_shared<arrow::NumericArray<ArrowType>>(
      count, arrow::Buffer::FromVector(std::move(values)));
}

// Dates, timestamps and bytes have one reader of JSON text, the one of writes; the values go to it
// as a small document of one column.
Result<ArrayPtr> ParseLikeAWrite(const JsonKeyColumn& column, const ColumnSchema& schema) {
  std::string body = "{\"columns\":{";
  AppendJsonString(&body, schema.name);
  body += ":[";
  for (int64_t i = 0; i < column.count(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (i > 0) body += ',';
    if (column.kind == Kind::kText) {
      const auto start = static_cast<size_t>(column.ends[at]);
      const auto end = static_cast<size_t>(column.ends[at + 1]);
      AppendJsonString(&body, std::string_view(column.text).substr(start, end - start));
    } else {
      body += std::to_string(column.whole[at]);
    }
  }
  body += "]}}";
  TableSchema one;
  one.columns = {schema};
  one.key = {schema.name};
  ARROW_ASSIGN_OR_RAISE(auto batch, ingest::ParseJsonColumns(body, one, false));
  return batch->column(0);
}

Result<ArrayPtr> ToArray(JsonKeyColumn* column, const ColumnSchema& schema) {
  if (column->kind == Kind::kEmpty) return arrow::MakeEmptyArray(schema.type);
  const bool text = column->kind == Kind::kText;
  switch (schema.type->id()) {
    case arrow::Type::STRING:
      if (!text) return DoesNotFit(*column, schema.name, "", *schema.type);
      return TextArray(column);
    case arrow::Type::BINARY:
    case arrow::Type::DATE32:
    case arrow::Type::TIMESTAMP:
      return ParseLikeAWrite(*column, schema);
    default:
      break;
  }
  if (text) return DoesNotFit(*column, schema.name, "", *schema.type);
  switch (schema.type->id()) {
    case arrow::Type::INT8:
      return WholeArray<arrow::Int8Type>(column, schema.name);
    case arrow::Type::INT16:
      return WholeArray<arrow::Int16Type>(column, schema.name);
    case arrow::Type::INT32:
      return WholeArray<arrow::Int32Type>(column, schema.name);
    case arrow::Type::INT64:
      return WholeArray<arrow::Int64Type>(column, schema.name);
    case arrow::Type::UINT8:
      return WholeArray<arrow::UInt8Type>(column, schema.name);
    case arrow::Type::UINT16:
      return WholeArray<arrow::UInt16Type>(column, schema.name);
    case arrow::Type::UINT32:
      return WholeArray<arrow::UInt32Type>(column, schema.name);
    case arrow::Type::UINT64:
      return WholeArray<arrow::UInt64Type>(column, schema.name);
    default:
      return Unsupported("keys of type " + TypeName(*schema.type) + " cannot be sent as JSON");
  }
}

std::string Names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += ", ";
    text += "'" + name + "'";
  }
  return text;
}

}  // namespace

Result<KeyArrays> ToKeyArrays(JsonKeysRequest* request, const TableSchema& schema) {
  if (request->form == KeysForm::kList) {
    const ColumnSchema* key = schema.key.size() == 1 ? schema.Find(schema.key[0]) : nullptr;
    if (key == nullptr || key->type->id() != arrow::Type::STRING) {
      return InvalidArgument(
          "a list of keys needs a table with one utf8 key column; this one is keyed by " +
          Names(schema.key) + ": send {\"keys\": {column: [values]}}");
    }
    ARROW_ASSIGN_OR_RAISE(ArrayPtr array, ToArray(&request->keys[0], *key));
    return KeyArrays{std::move(array)};
  }
  KeyArrays arrays(schema.key.size());
  for (JsonKeyColumn& column : request->keys) {
    size_t at = 0;
    while (at < schema.key.size() && schema.key[at] != column.name) ++at;
    if (at == schema.key.size()) {
      return InvalidArgument("'" + column.name.substr(0, 128) + "' is no key column; the key is " +
                             Names(schema.key));
    }
    ARROW_ASSIGN_OR_RAISE(arrays[at], ToArray(&column, *schema.Find(column.name)));
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (arrays[i] == nullptr) {
      return InvalidArgument("keys lack the key column '" + schema.key[i] + "'");
    }
    if (arrays[i]->length() != arrays[0]->length()) {
      return InvalidArgument("key columns differ in length: '" + schema.key[0] + "' has " +
                             std::to_string(arrays[0]->length()) + " values, '" + schema.key[i] +
                             "' has " + std::to_string(arrays[i]->length()));
    }
  }
  return arrays;
}

}  // namespace fletching::api
