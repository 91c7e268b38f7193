// One table of routes: method, path pattern, operation id, handler, and how large its body may be
// and where it runs. 404 and 405 come from it, and openapi.json is compared with it by a test.
//
// Does not know sockets, and does not know what handlers do.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "access/guard.h"
#include "api/http/http_message.h"

namespace fletching::http {

struct HandlerContext;  // handlers.h

using Handler = Result<HttpResponse> (*)(const HandlerContext& context, const HttpRequest& request);

enum class BodyKind : uint8_t {
  kNone,    // any body is read and dropped
  kSchema,  // a small JSON document
  kKeys,    // keys of a fetch or delete
  kData,    // a write: as large as the server allows
};

// Where a handler runs. Threads that move bytes never wait for a disk or decode megabytes.
enum class Place : uint8_t { kInline, kInlineWhenSmall, kWorker };

struct Route {
  Method method;
  std::string_view pattern;  // "/api/v1/table/{name}/fetch"
  std::string_view operation_id;
  BodyKind body;
  Place place;
  bool always_served;  // also beyond the limit of requests in flight
  access::Need need;   // on the table that its {name} is
  Handler handler;
};

struct RouteMatch {
  const Route* route = nullptr;  // null: `status` says why
  int status = 0;                // 404, 405, or 400 for a path that cannot be decoded
  std::string allow;             // with 405: "GET, PUT"
  std::array<std::string, 2> path_args;
};

// Every route, in the order of the documentation.
std::span<const Route> Routes();
// Of these, what a port for metrics serves.
std::span<const Route> MetricsRoutes();

RouteMatch FindRoute(Method method, std::string_view path,
                     std::span<const Route> routes = Routes());

// The answer to a request without a route.
HttpResponse NoRouteResponse(const RouteMatch& match, std::string_view method,
                             std::string_view path);

// Runs the handler; its errors, and exceptions of libraries, become error answers. Documents and
// keys that were spooled to a file are loaded first, so their handlers find them in memory.
HttpResponse RunHandler(const Route& route, const HandlerContext& context, HttpRequest* request);

}  // namespace fletching::http
