// What each route does: parse, call the engine, render. See router.cc for which is which, and
// docs/protocol.md for what goes in and comes out.
//
// Threads: any; a context is only read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "api/http/http_message.h"
#include "api/schema_json.h"

namespace fletching {
class Metrics;
}
namespace fletching::sql {
class SqlDoor;
}
namespace fletching::api {
class DoorStages;
class DecodeBudget;
}  // namespace fletching::api

namespace fletching::http {

struct HandlerOptions {
  api::SchemaEcho schema_echo = api::SchemaEcho::kCreated;
  // JSON is decoded whole, at some four times its size, so it gets a bound of its own.
  int64_t json_bytes_max = int64_t{64} << 20;
  sql::SqlDoor* sql = nullptr;  // null: SQL is not answered. Lifetime: as the engine
  // Why the server is not ready yet, or "": of what is loaded from elsewhere. May be empty.
  std::function<std::string()> not_ready;
  // What does not work while everything is still served; /health tells it. May be empty.
  std::function<std::vector<std::string>()> problems;
};

// Lifetime: engine, metrics, and what the server sets, outlive every call.
struct HandlerContext {
  Engine* engine = nullptr;
  HandlerOptions options;
  const std::atomic<bool>* draining = nullptr;   // readiness fails
  const std::atomic<bool>* cancelled = nullptr;  // long writes give up
  api::DecodeBudget* decode_budget = nullptr;    // of writes
  const Metrics* metrics = nullptr;              // what /metrics shows
  bool has_keys = false;                         // callers are asked for one
  const access::Guard* guard = nullptr;          // null without keys; for what a body names
  const api::DoorStages* stages = nullptr;       // null: stages are not timed
};

Result<HttpResponse> HandleHealth(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleLive(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleReady(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleOpenApi(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleMetrics(const HandlerContext& context, const HttpRequest& request);

Result<HttpResponse> HandleListTables(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleCreateTable(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleGetTable(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleDropTable(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleGetSchema(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleAddColumn(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleWidenColumn(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleCompact(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleRollBack(const HandlerContext& context, const HttpRequest& request);

Result<HttpResponse> HandleQuery(const HandlerContext& context, const HttpRequest& request);

Result<HttpResponse> HandleFetch(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleScan(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleWrite(const HandlerContext& context, const HttpRequest& request);
Result<HttpResponse> HandleDelete(const HandlerContext& context, const HttpRequest& request);

}  // namespace fletching::http
