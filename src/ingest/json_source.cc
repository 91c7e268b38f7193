#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/utf8.h"
#include <boost/json/basic_parser_impl.hpp>

#include "ingest/budget.h"
#include "ingest/json_column.h"
#include "ingest/sources.h"

namespace fletching::ingest {
namespace {

namespace json = boost::json;

constexpr char kShape[] = "the body has to be {\"columns\": {\"name\": [value, ...], ...}}";
constexpr size_t kDepthMax = 32;
// A null in a fixed-size list takes five bytes of JSON and up to half a megabyte of values.
constexpr int64_t kJsonBytesMax = int64_t{256} << 20;
constexpr int64_t kBytesPerJsonByte = 8;  // "1," as an int64 with its null bit

std::string ColumnLabel(std::string_view name) {
  constexpr size_t kShownBytesMax = 128;  // the longest legal name
  return "column '" + std::string(name.substr(0, kShownBytesMax)) + "'";
}

// Receives the parser's events, and knows from the nesting what each value is. Values go straight
// into columns: no tree of the document is ever built, and numbers are taken as text, because the
// parser's own doubles are not rounded correctly.
class BodyHandler {
 public:
  // The parser's limits; the body's size is bounded by the caller.
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = static_cast<size_t>(-1);
  static constexpr size_t max_string_size = static_cast<size_t>(-1);

  BodyHandler(const TableSchema& schema, bool ignore_extra_columns, arrow::MemoryPool* pool)
      : ignore_extra_columns_(ignore_extra_columns), pool_(pool) {
    for (const ColumnSchema& column : schema.columns) by_name_.emplace(column.name, &column);
  }

  const Status& status() const { return status_; }
  Result<std::shared_ptr<arrow::RecordBatch>> Finish();

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& error) { return Take(BeginObject(), error); }
  bool on_object_end(size_t, json::error_code&) { return EndObject(); }
  bool on_array_begin(json::error_code& error) { return Take(BeginArray(), error); }
  bool on_array_end(size_t, json::error_code& error) { return Take(EndArray(), error); }

  bool on_key_part(json::string_view part, size_t, json::error_code&) { return Gather(part); }
  bool on_key(json::string_view part, size_t, json::error_code& error) {
    return Take(Key(Gathered(part)), error);
  }
  bool on_string_part(json::string_view part, size_t, json::error_code&) { return Gather(part); }
  bool on_string(json::string_view part, size_t, json::error_code& error) {
    const std::string_view text = Gathered(part);
    return Take(Value([&](JsonColumn& column) { return column.AppendText(text); }), error);
  }
  bool on_number_part(json::string_view part, json::error_code&) { return Gather(part); }
  bool on_int64(int64_t, json::string_view part, json::error_code& error) {
    return Number(part, error);
  }
  bool on_uint64(uint64_t, json::string_view part, json::error_code& error) {
    return Number(part, error);
  }
  bool on_double(double, json::string_view part, json::error_code& error) {
    return Number(part, error);
  }
  bool on_bool(bool value, json::error_code& error) {
    return Take(Value([&](JsonColumn& column) { return column.AppendBool(value); }), error);
  }
  bool on_null(json::error_code& error) {
    return Take(Value([](JsonColumn& column) { return column.AppendNull(); }), error);
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  enum class Place {
    kDocument,    // the body itself is next
    kBody,        // inside the outer object
    kColumnsKey,  // the value of "columns" is next
    kColumns,     // inside "columns"
    kColumnKey,   // the array of a column is next
    kColumn,      // inside that array
    kList,        // inside a list of a list column
    kIgnoredKey,  // a value that nobody wants is next
  };
  struct Column {
    const ColumnSchema* schema;
    std::unique_ptr<JsonColumn> values;
  };

  bool Gather(json::string_view part) {
    gathered_.append(part.data(), part.size());
    return true;
  }
  // The whole text, of which `part` is the end. Valid until the next event.
  std::string_view Gathered(json::string_view part) {
    if (gathered_.empty()) return {part.data(), part.size()};
    Gather(part);
    text_.swap(gathered_);
    gathered_.clear();
    return text_;
  }
  bool Number(json::string_view part, json::error_code& error) {
    const std::string_view digits = Gathered(part);
    return Take(Value([&](JsonColumn& column) { return column.AppendNumber(digits); }), error);
  }

  bool Take(Status status, json::error_code& error) {
    if (status.ok()) return true;
    status_ = std::move(status);
    error = json::make_error_code(json::error::exception);  // any will do: status_ says what
    return false;
  }

  Status Key(std::string_view name);
  Status ColumnKey(std::string_view name);
  Status BeginObject();
  bool EndObject();
  Status BeginArray();
  Status EndArray();
  template <typename Append>
  Status Value(const Append& append);
  Status InRow(const Status& status) const;

  const bool ignore_extra_columns_;
  arrow::MemoryPool* const pool_;
  std::unordered_map<std::string_view, const ColumnSchema*> by_name_;
  std::unordered_set<std::string> seen_names_;
  std::vector<Column> columns_;
  Place place_ = Place::kDocument;
  Place after_ignored_ = Place::kBody;
  int64_t ignored_depth_ = 0;  // open brackets inside an ignored value
  bool columns_seen_ = false;
  std::string gathered_;
  std::string text_;
  Status status_;
};

Status BodyHandler::Key(std::string_view name) {
  if (ignored_depth_ > 0) return Status::OK();
  if (place_ == Place::kColumns) return ColumnKey(name);
  if (name != "columns") {
    after_ignored_ = Place::kBody;
    place_ = Place::kIgnoredKey;
    return Status::OK();
  }
  if (columns_seen_) return InvalidArgument("\"columns\" is given twice");
  columns_seen_ = true;
  place_ = Place::kColumnsKey;
  return Status::OK();
}

Status BodyHandler::ColumnKey(std::string_view name) {
  if (!seen_names_.emplace(name).second) {
    return InvalidArgument(ColumnLabel(name) + " is given twice");
  }
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) {
    ARROW_ASSIGN_OR_RAISE(auto values, JsonColumn::Make(found->second->type, pool_));
    columns_.push_back({found->second, std::move(values)});
    place_ = Place::kColumnKey;
    return Status::OK();
  }
  if (!ignore_extra_columns_) {
    return InvalidArgument(ColumnLabel(name) + " is not in the table's schema");
  }
  after_ignored_ = Place::kColumns;
  place_ = Place::kIgnoredKey;
  return Status::OK();
}

Status BodyHandler::BeginObject() {
  switch (place_) {
    case Place::kDocument:
      place_ = Place::kBody;
      return Status::OK();
    case Place::kColumnsKey:
      place_ = Place::kColumns;
      return Status::OK();
    case Place::kIgnoredKey:
      ++ignored_depth_;
      return Status::OK();
    case Place::kColumnKey:
      return InvalidArgument(ColumnLabel(columns_.back().schema->name) +
                             ": an object where an array of values belongs");
    default:
      return InRow(InvalidArgument("an object where a value belongs"));
  }
}

bool BodyHandler::EndObject() {
  if (ignored_depth_ > 0) {
    if (--ignored_depth_ == 0) place_ = after_ignored_;
  } else {
    place_ = place_ == Place::kColumns ? Place::kBody : Place::kDocument;
  }
  return true;
}

Status BodyHandler::BeginArray() {
  switch (place_) {
    case Place::kIgnoredKey:
      ++ignored_depth_;
      return Status::OK();
    case Place::kColumnKey:
      place_ = Place::kColumn;
      return Status::OK();
    case Place::kColumn:
      ARROW_RETURN_NOT_OK(InRow(columns_.back().values->BeginList()));
      place_ = Place::kList;
      return Status::OK();
    case Place::kList:
      return InRow(InvalidArgument("an array inside a list"));
    default:
      return InvalidArgument(kShape);
  }
}

Status BodyHandler::EndArray() {
  switch (place_) {
    case Place::kIgnoredKey:
      if (--ignored_depth_ == 0) place_ = after_ignored_;
      return Status::OK();
    case Place::kList:
      ARROW_RETURN_NOT_OK(InRow(columns_.back().values->EndList()));
      place_ = Place::kColumn;
      return Status::OK();
    default:
      place_ = Place::kColumns;
      return Status::OK();
  }
}

template <typename Append>
Status BodyHandler::Value(const Append& append) {
  switch (place_) {
    case Place::kIgnoredKey:
      if (ignored_depth_ == 0) place_ = after_ignored_;
      return Status::OK();
    case Place::kColumn:
      return InRow(append(*columns_.back().values));
    case Place::kList:
      return InRow(append(*columns_.back().values->list_values()));
    case Place::kColumnKey:
      return InvalidArgument(ColumnLabel(columns_.back().schema->name) +
                             ": a single value where an array of values belongs");
    default:
      return InvalidArgument(kShape);
  }
}

// Adds column and row to an error of the value at hand.
Status BodyHandler::InRow(const Status& status) const {
  if (status.ok() || columns_.empty()) return status;
  const Column& column = columns_.back();
  const int64_t row = column.values->length() - (place_ == Place::kList ? 1 : 0);
  return MakeError(CodeOf(status), ColumnLabel(column.schema->name) + ", row " +
                                       std::to_string(row) + ": " + status.message());
}

Result<std::shared_ptr<arrow::RecordBatch>> BodyHandler::Finish() {
  if (!columns_seen_) return InvalidArgument(kShape);
  const int64_t rows = columns_.empty() ? 0 : columns_[0].values->length();
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const Column& column : columns_) {
    if (column.values->length() != rows) {
      return InvalidArgument(
          ColumnLabel(column.schema->name) + " has " + std::to_string(column.values->length()) +
          " values, " + ColumnLabel(columns_[0].schema->name) + " has " + std::to_string(rows));
    }
    ARROW_ASSIGN_OR_RAISE(auto array, column.values->Finish());
    fields.push_back(arrow::field(column.schema->name, column.schema->type));
    arrays.push_back(std::move(array));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), rows, std::move(arrays));
}

Status SyntaxError(std::string_view body, size_t at, const json::error_code& error) {
  arrow::util::InitializeUTF8();
  if (!arrow::util::ValidateUTF8(body)) return InvalidArgument("the body is not valid UTF-8");
  return InvalidArgument("the body is not valid JSON: " + error.message() + " at byte " +
                         std::to_string(at));
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> ParseJsonColumns(std::string_view body,
                                                             const TableSchema& schema,
                                                             bool ignore_extra_columns) {
  const Budget budget(kJsonBytesMax + kBytesPerJsonByte * static_cast<int64_t>(body.size()));
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::basic_parser<BodyHandler> parser(options, schema, ignore_extra_columns, budget.pool());
  json::error_code error;
  const size_t used = parser.write_some(/*more=*/false, body.data(), body.size(), error);
  if (!parser.handler().status().ok()) {
    return BodyError("JSON", parser.handler().status(), budget);
  }
  if (!error && used < body.size()) error = json::make_error_code(json::error::extra_data);
  if (error) return SyntaxError(body, used, error);
  auto batch = parser.handler().Finish();
  if (!batch.ok()) return BodyError("JSON", batch.status(), budget);
  return batch;
}

}  // namespace fletching::ingest
