// Routes about the server itself: health, metrics and the description of its interface.
#include "api/http/handlers.h"
#include "api/http/http_metrics.h"
#include "api/http/openapi.h"
#include "api/json_text.h"

namespace fletching::http {

namespace {

// {"status":"degraded","problems":["table 'docs': ..."]}
std::string HealthJson(const HandlerContext& context) {
  std::vector<std::string> problems;
  if (context.options.problems) problems = context.options.problems();
  if (problems.empty()) return "{\"status\":\"ok\"}";
  std::string text = "{\"status\":\"degraded\",\"problems\":[";
  for (const std::string& problem : problems) {
    if (!text.ends_with('[')) text += ',';
    api::AppendJsonString(&text, problem);
  }
  return text + "]}";
}

}  // namespace

// Monitors of the older servers compare with "OK"; others ask for JSON.
Result<HttpResponse> HandleHealth(const HandlerContext& context, const HttpRequest& request) {
  if (Accepts(request.accept, kJsonType)) return JsonResponse(200, HealthJson(context));
  HttpResponse response;
  response.content_type = kTextType;
  response.text = "OK";
  return response;
}

Result<HttpResponse> HandleLive(const HandlerContext&, const HttpRequest&) {
  return JsonResponse(200, "{\"status\":\"ok\"}");
}

Result<HttpResponse> HandleReady(const HandlerContext& context, const HttpRequest&) {
  if (context.draining != nullptr && context.draining->load(std::memory_order_relaxed)) {
    return ErrorResponse(503, "the server is shutting down");
  }
  if (context.options.not_ready) {
    const std::string why = context.options.not_ready();
    if (!why.empty()) return ErrorResponse(503, why);
  }
  return JsonResponse(200, "{\"status\":\"ready\"}");
}

Result<HttpResponse> HandleOpenApi(const HandlerContext& context, const HttpRequest&) {
  return JsonResponse(200, std::string(OpenApiText(context.has_keys)));
}

Result<HttpResponse> HandleMetrics(const HandlerContext& context, const HttpRequest&) {
  HttpResponse response;
  response.content_type = kMetricsType;
  if (context.metrics != nullptr) response.text = RenderMetrics(context.metrics->Read());
  return response;
}

}  // namespace fletching::http
