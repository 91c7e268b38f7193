// Routes of SQL: parse, ask the door of SQL, render.
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/table.h>

#include "api/error_map.h"
#include "api/http/handlers.h"
#include "api/ipc_answer.h"
#include "api/json_batch.h"
#include "api/json_tree.h"
#include "sql/sql_door.h"

namespace fletching::http {
namespace {

using api::JsonNode;

constexpr int64_t kJsonRowsMax = 10'000;  // an answer in JSON is made whole

Result<duck::QueryValue> ValueOf(const JsonNode& node) {
  switch (node.kind) {
    case JsonNode::Kind::kNull:
      return duck::QueryValue{};
    case JsonNode::Kind::kBool:
      return duck::QueryValue{node.boolean};
    case JsonNode::Kind::kInt:
      return duck::QueryValue{node.integer};
    case JsonNode::Kind::kDouble:
      return duck::QueryValue{node.number};
    case JsonNode::Kind::kString:
      return duck::QueryValue{node.text};
    case JsonNode::Kind::kArray: {
      duck::QueryList list;
      for (const JsonNode& item : node.items) {
        ARROW_ASSIGN_OR_RAISE(auto value, ValueOf(item));
        list.push_back(std::move(value));
      }
      return duck::QueryValue{std::move(list)};
    }
    default:
      return InvalidArgument("a parameter is null, a bool, a number, a text or a list of these");
  }
}

Result<duck::QueryParameters> ParametersOf(const JsonNode& node) {
  if (!node.Is(JsonNode::Kind::kArray) && !node.Is(JsonNode::Kind::kObject)) {
    return InvalidArgument("'parameters' is a list, or an object by name");
  }
  duck::QueryParameters parameters;
  for (size_t i = 0; i < node.items.size(); ++i) {
    const bool has_name = node.Is(JsonNode::Kind::kObject);
    ARROW_ASSIGN_OR_RAISE(auto value, ValueOf(node.items[i]));
    parameters.emplace_back(has_name ? node.names[i] : std::to_string(i + 1), std::move(value));
  }
  return parameters;
}

Result<int64_t> PositiveOf(const std::string& name, const JsonNode& node) {
  if (node.Is(JsonNode::Kind::kInt) && node.integer > 0) return node.integer;
  return InvalidArgument("'" + name + "' is a whole number above 0");
}

Result<sql::SqlRequest> ParseQueryBody(std::string_view body) {
  ARROW_ASSIGN_OR_RAISE(const JsonNode document, api::ParseJson(body));
  if (!document.Is(JsonNode::Kind::kObject)) return InvalidArgument("the body is a JSON object");
  sql::SqlRequest query;
  for (size_t i = 0; i < document.items.size(); ++i) {
    const std::string& name = document.names[i];
    const JsonNode& node = document.items[i];
    if (name == "sql") {
      if (!node.Is(JsonNode::Kind::kString)) return InvalidArgument("'sql' is a text");
      query.text = node.text;
    } else if (name == "parameters") {
      ARROW_ASSIGN_OR_RAISE(query.parameters, ParametersOf(node));
    } else if (name == "timeout_ms") {
      ARROW_ASSIGN_OR_RAISE(query.timeout_ms, PositiveOf(name, node));
    } else if (name == "rows_max") {
      ARROW_ASSIGN_OR_RAISE(query.rows_max, PositiveOf(name, node));
    } else {
      return InvalidArgument("'" + name +
                             "' is not known; there are sql, parameters, timeout_ms and rows_max");
    }
  }
  if (query.text.empty()) return InvalidArgument("'sql' is missing: the statement");
  return query;
}

// Rows whose first batch is there already: what fails before it still has a status of its own.
class BegunRows final : public arrow::RecordBatchReader {
 public:
  explicit BegunRows(std::shared_ptr<arrow::RecordBatchReader> rows) : rows_(std::move(rows)) {}
  Status Begin() { return rows_->ReadNext(&first_); }
  std::shared_ptr<arrow::Schema> schema() const override { return rows_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    if (first_ == nullptr) return rows_->ReadNext(batch);
    *batch = std::move(first_);
    return Status::OK();
  }

 private:
  const std::shared_ptr<arrow::RecordBatchReader> rows_;
  std::shared_ptr<arrow::RecordBatch> first_;
};

}  // namespace

Result<HttpResponse> HandleQuery(const HandlerContext& context, const HttpRequest& request) {
  if (context.options.sql == nullptr) {
    return Unsupported("this server answers no SQL; fix: sql.queries: 8");
  }
  ARROW_ASSIGN_OR_RAISE(sql::SqlRequest query, ParseQueryBody(request.body.text()));
  query.may_read = [&](const std::string& table) {
    if (context.guard == nullptr) return Status::OK();
    return context.guard->Check(request.caller, access::Need::kRead, table);
  };
  const bool arrow = Accepts(request.accept, kArrowType);
  if (!arrow && (query.rows_max == 0 || query.rows_max > kJsonRowsMax)) {
    query.rows_max = kJsonRowsMax;
  }
  ARROW_ASSIGN_OR_RAISE(auto made, context.options.sql->Query(query));
  auto rows = std::make_shared<BegunRows>(std::move(made));
  ARROW_RETURN_NOT_OK(rows->Begin());
  if (arrow) {
    HttpResponse response;
    response.content_type = kArrowType;
    response.next_piece = [pieces = std::make_shared<api::IpcStreamPieces>(std::move(rows))] {
      return pieces->Next();
    };
    return response;
  }
  ARROW_ASSIGN_OR_RAISE(const auto table, rows->ToTable());
  ARROW_ASSIGN_OR_RAISE(const auto batch, table->CombineChunksToBatch());
  ARROW_ASSIGN_OR_RAISE(std::string text, api::RenderJsonColumns(*batch, nullptr));
  return JsonResponse(200, std::move(text));
}

}  // namespace fletching::http
