#include "api/http/router.h"

#include <algorithm>
#include <exception>
#include <new>

#include "api/http/handlers.h"

namespace fletching::http {
namespace {

using enum Method;
using enum access::Need;

constexpr auto kRoutes = std::to_array<Route>({
    {kGet, "/health", "health", BodyKind::kNone, Place::kInline, true, kOpen, HandleHealth},
    {kGet, "/livez", "livez", BodyKind::kNone, Place::kInline, true, kOpen, HandleLive},
    {kGet, "/readyz", "readyz", BodyKind::kNone, Place::kInline, true, kOpen, HandleReady},
    {kGet, "/openapi.json", "openapi", BodyKind::kNone, Place::kInline, true, kOpen, HandleOpenApi},
    // On a worker: tables and open files may be many.
    {kGet, "/metrics", "metrics", BodyKind::kNone, Place::kWorker, true, kAnyKey, HandleMetrics},
    {kGet, "/api/v1/table", "list_tables", BodyKind::kNone, Place::kInline, false, kAnyKey,
     HandleListTables},
    {kPut, "/api/v1/table/{name}", "create_table", BodyKind::kSchema, Place::kWorker, false, kAdmin,
     HandleCreateTable},
    {kGet, "/api/v1/table/{name}", "get_table", BodyKind::kNone, Place::kInline, false, kRead,
     HandleGetTable},
    {kDelete, "/api/v1/table/{name}", "drop_table", BodyKind::kNone, Place::kWorker, false, kAdmin,
     HandleDropTable},
    {kGet, "/api/v1/table/{name}/schema", "get_schema", BodyKind::kNone, Place::kInline, false,
     kRead, HandleGetSchema},
    {kPost, "/api/v1/table/{name}/columns", "add_column", BodyKind::kSchema, Place::kWorker, false,
     kAdmin, HandleAddColumn},
    {kPatch, "/api/v1/table/{name}/columns/{column}", "widen_column", BodyKind::kSchema,
     Place::kWorker, false, kAdmin, HandleWidenColumn},
    {kPost, "/api/v1/table/{name}/fetch", "fetch", BodyKind::kKeys, Place::kInlineWhenSmall, false,
     kRead, HandleFetch},
    {kGet, "/api/v1/table/{name}/rows", "scan", BodyKind::kNone, Place::kWorker, false, kRead,
     HandleScan},
    {kPut, "/api/v1/table/{name}/write", "write", BodyKind::kData, Place::kWorker, false, kWrite,
     HandleWrite},
    {kPost, "/api/v1/table/{name}/delete", "delete_rows", BodyKind::kKeys, Place::kWorker, false,
     kWrite, HandleDelete},
    {kPost, "/api/v1/table/{name}/compact", "compact", BodyKind::kNone, Place::kWorker, false,
     kAdmin, HandleCompact},
    {kPost, "/api/v1/table/{name}/rollback", "roll_back", BodyKind::kNone, Place::kWorker, false,
     kAdmin, HandleRollBack},
    {kPost, "/query", "query", BodyKind::kSchema, Place::kWorker, false, kAnyKey, HandleQuery},
    {kPost, "/api/v1/sql", "sql", BodyKind::kSchema, Place::kWorker, false, kAnyKey, HandleQuery},
    // The paths of the first plan of the older generation.
    {kPost, "/v1/{name}", "fetch_plan", BodyKind::kKeys, Place::kInlineWhenSmall, false, kRead,
     HandleFetch},
    {kPost, "/v1/{name}/_fetch", "fetch_plan_underscore", BodyKind::kKeys, Place::kInlineWhenSmall,
     false, kRead, HandleFetch},
});

static_assert(std::none_of(kRoutes.begin(), kRoutes.end(),
                           [](const Route& route) { return route.need == kUnset; }));

// Takes the first segment off `path`, which starts with '/'.
std::string_view TakeSegment(std::string_view* path) {
  const size_t end = std::min(path->find('/', 1), path->size());
  const std::string_view segment = path->substr(1, end - 1);
  path->remove_prefix(end);
  return segment;
}

bool Matches(std::string_view pattern, std::string_view path,
             std::array<std::string_view, 2>* args) {
  size_t arg = 0;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = TakeSegment(&pattern);
    const std::string_view found = TakeSegment(&path);
    if (wanted.starts_with('{')) {
      if (found.empty()) return false;
      (*args)[arg++] = found;
    } else if (wanted != found) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

RouteMatch Decoded(const Route& route, const std::array<std::string_view, 2>& args) {
  RouteMatch match;
  for (size_t i = 0; i < args.size(); ++i) {
    auto decoded = PercentDecode(args[i]);
    if (!decoded.ok()) {
      match.status = 400;
      return match;
    }
    match.path_args[i] = decoded.MoveValueUnsafe();
  }
  match.route = &route;
  return match;
}

}  // namespace

std::span<const Route> Routes() { return kRoutes; }

std::span<const Route> MetricsRoutes() {
  constexpr size_t kAt = 4;
  static_assert(kRoutes[kAt].pattern == "/metrics");
  return std::span<const Route>(kRoutes).subspan(kAt, 1);
}

RouteMatch FindRoute(Method method, std::string_view path, std::span<const Route> routes) {
  RouteMatch match;
  match.status = 404;
  if (!path.starts_with('/')) return match;
  for (const Route& route : routes) {
    std::array<std::string_view, 2> args;
    if (!Matches(route.pattern, path, &args)) continue;
    if (route.method == method) return Decoded(route, args);
    match.status = 405;
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += MethodName(route.method);
    if (route.method == kGet) match.allow += ", HEAD";
  }
  return match;
}

HttpResponse NoRouteResponse(const RouteMatch& match, std::string_view method,
                             std::string_view path) {
  const std::string shown(path.substr(0, 256));
  if (match.status == 400) {
    return ErrorResponse(400, "a '%' in the URL is not followed by two hex digits, or is a NUL");
  }
  if (match.status == 404) return ErrorResponse(404, "there is no " + shown + " here");
  HttpResponse response =
      ErrorResponse(405, std::string(method.substr(0, 32)) + " is not possible on " + shown + "; " +
                             match.allow + " is");
  response.headers.emplace_back("Allow", match.allow);
  return response;
}

HttpResponse RunHandler(const Route& route, const HandlerContext& context, HttpRequest* request) {
  // The one place where a stray exception of a library ends.
  try {
    if (route.body != BodyKind::kData && !request->body.in_memory()) {
      auto loaded = request->body.Loaded();
      if (!loaded.ok()) return ErrorResponse(loaded.status());
      request->body = loaded.MoveValueUnsafe();
    }
    Result<HttpResponse> response = route.handler(context, *request);
    if (response.ok()) return response.MoveValueUnsafe();
    return ErrorResponse(response.status());
  } catch (const std::bad_alloc&) {
    return ErrorResponse(503, "out of memory for this request");
  } catch (const std::exception& error) {
    return ErrorResponse(500, std::string("unexpected: ") + error.what());
  }
}

}  // namespace fletching::http
