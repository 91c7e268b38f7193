// Routes about tables: create, list, show, change, drop, compact.
#include <utility>

#include "fletching/engine.h"

#include "api/error_map.h"
#include "api/http/handlers.h"
#include "api/json_text.h"
#include "api/schema_json.h"

namespace fletching::http {
namespace {

// A document whose members are not known or of the wrong type is 422, as the contract has it; a
// broken rule is 400.
HttpResponse FaultResponse(const Status& status, api::SchemaFault fault) {
  if (fault == api::SchemaFault::kShape) return ErrorResponse(422, status.message());
  // A type that cannot be stored is the client's mistake here, not a lack of ours.
  return ErrorResponse(400, status.message());
}

bool IsJsonBody(const HttpRequest& request) {
  const std::string type = MediaType(request.content_type);
  if (type == kJsonType) return true;
  const bool unsaid = type.empty() || type == "application/x-www-form-urlencoded";
  return unsaid && request.body.text().starts_with('{');
}

HttpResponse NotJson(const HttpRequest& request) {
  return ErrorResponse(415, "the body must be application/json, not '" +
                                std::string(request.content_type.substr(0, 128)) + "'");
}

void AppendGeneration(std::string* out, const GenerationInfo& generation) {
  out->append(",\"generation\":{\"name\":");
  api::AppendJsonString(out, generation.name);
  out->append(",\"loaded_time_us\":");
  api::AppendJsonInt(out, generation.loaded_time_us);
  if (generation.has_previous) {
    out->append(",\"previous\":");
    api::AppendJsonString(out, generation.previous);
  }
  if (!generation.rejected.empty()) {
    out->append(",\"rejected\":");
    api::AppendJsonString(out, generation.rejected);
  }
  out->push_back('}');
}

void AppendTableInfo(std::string* out, const TableInfo& table, api::SchemaEcho echo) {
  out->append("{\"name\":");
  api::AppendJsonString(out, table.name);
  out->append(",\"row_count\":");
  api::AppendJsonInt(out, table.row_count);
  out->append(",\"disk_bytes\":");
  api::AppendJsonInt(out, table.disk_bytes);
  out->append(",\"segment_count\":");
  api::AppendJsonInt(out, table.segment_count);
  out->append(",\"version\":");
  api::AppendJsonUint(out, table.version);
  if (table.generation.has_value()) AppendGeneration(out, *table.generation);
  out->append(",\"health\":");
  api::AppendJsonString(out, table.health.ok() ? "ok" : table.health.message());
  out->append(",\"schema\":");
  api::AppendSchemaJson(out, table.schema, echo);
  out->push_back('}');
}

}  // namespace

Result<HttpResponse> HandleListTables(const HandlerContext& context, const HttpRequest& request) {
  std::string text = "{";
  for (const TableInfo& table : context.engine->ListTables()) {
    if (table.schema.columns.empty()) continue;  // too damaged to say what it looked like
    if (!request.caller.May(access::Need::kRead, table.name)) continue;
    if (text.size() > 1) text += ',';
    api::AppendJsonString(&text, table.name);
    text += ':';
    api::AppendSchemaJson(&text, table.schema, context.options.schema_echo);
  }
  text += '}';
  return JsonResponse(200, std::move(text));
}

Result<HttpResponse> HandleCreateTable(const HandlerContext& context, const HttpRequest& request) {
  if (!IsJsonBody(request)) return NotJson(request);
  const api::SchemaOrFault parsed = api::ParseSchemaJson(request.body.text());
  if (!parsed.status.ok()) return FaultResponse(parsed.status, parsed.fault);
  ARROW_RETURN_NOT_OK(context.engine->CreateTable(request.path_args[0], parsed.schema));
  return EmptyResponse(201);
}

Result<HttpResponse> HandleGetTable(const HandlerContext& context, const HttpRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const TableInfo table, context.engine->GetTable(request.path_args[0]));
  std::string text;
  AppendTableInfo(&text, table, context.options.schema_echo);
  return JsonResponse(200, std::move(text));
}

Result<HttpResponse> HandleDropTable(const HandlerContext& context, const HttpRequest& request) {
  ARROW_RETURN_NOT_OK(context.engine->DropTable(request.path_args[0]));
  return EmptyResponse(204);
}

Result<HttpResponse> HandleGetSchema(const HandlerContext& context, const HttpRequest& request) {
  ARROW_ASSIGN_OR_RAISE(const TableInfo table, context.engine->GetTable(request.path_args[0]));
  std::string text;
  api::AppendSchemaJson(&text, table.schema, context.options.schema_echo);
  return JsonResponse(200, std::move(text));
}

Result<HttpResponse> HandleAddColumn(const HandlerContext& context, const HttpRequest& request) {
  if (!IsJsonBody(request)) return NotJson(request);
  const api::ColumnOrFault parsed = api::ParseColumnJson(request.body.text());
  if (!parsed.status.ok()) return FaultResponse(parsed.status, parsed.fault);
  ARROW_RETURN_NOT_OK(context.engine->AddColumn(request.path_args[0], parsed.column));
  return EmptyResponse(201);
}

Result<HttpResponse> HandleWidenColumn(const HandlerContext& context, const HttpRequest& request) {
  if (!IsJsonBody(request)) return NotJson(request);
  const api::ColumnOrFault parsed = api::ParseWidenJson(request.body.text());
  if (!parsed.status.ok()) return FaultResponse(parsed.status, parsed.fault);
  ARROW_RETURN_NOT_OK(
      context.engine->WidenColumn(request.path_args[0], request.path_args[1], parsed.column.type));
  return EmptyResponse(200);
}

Result<HttpResponse> HandleCompact(const HandlerContext& context, const HttpRequest& request) {
  ARROW_RETURN_NOT_OK(context.engine->Compact(request.path_args[0]));
  return EmptyResponse(200);
}

Result<HttpResponse> HandleRollBack(const HandlerContext& context, const HttpRequest& request) {
  ARROW_RETURN_NOT_OK(context.engine->RollBack(request.path_args[0]));
  return HandleGetTable(context, request);
}

}  // namespace fletching::http
