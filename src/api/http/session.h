// One event loop and the connections that live on it: bytes in, requests to handlers, answers out.
// Stage: the door. The one place (with its .cc) that knows Beast and Asio.
//
// A connection reads a request, lets it be handled (here when that is quick, on a worker when it
// may wait), writes the answer, and reads on; requests that were sent ahead wait in its buffer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "api/decode_budget.h"
#include "api/http/body_spool.h"
#include "api/http/handlers.h"
#include "api/http/http_metrics.h"
#include "api/http/router.h"
#include "api/http/worker_pool.h"
#include "tls/tls_context.h"

namespace fletching::http {

struct SessionLimits {
  int64_t header_bytes_max = 16 * 1024;
  int64_t data_bytes_max = int64_t{2} << 30;    // body of a write
  int64_t keys_bytes_max = int64_t{64} << 20;   // body of a fetch or delete
  int64_t schema_bytes_max = int64_t{4} << 20;  // body that describes a table or column
  int64_t requests_max = 1024;                  // in flight: from header to the last byte out
  int64_t header_ms_max = 10'000;               // from a request's first byte to its header's last
  int64_t stall_ms_max = 30'000;                // without a byte moving, in a body or an answer
  int64_t idle_ms_max = 75'000;                 // between requests
};

// What a request came to, for logs. Lifetime of the texts: the call.
struct RequestEvent {
  std::string_view operation_id;  // empty: it matched no route, or was no HTTP
  std::string_view path;
  int status = 0;
  int64_t micros = 0;
  int64_t request_bytes = 0;
  int64_t response_bytes = 0;
  std::string_view error;  // body of an answer above 499
};

// What all connections of a server share. Lifetime: longer than every IoThread.
struct ServerShared {
  // Enough for three of the largest pieces and dozens of small bodies.
  api::DecodeBudget decode_budget{int64_t{1} << 30};
  HandlerContext context;
  const tls::TlsIdentity* tls = nullptr;  // null: plain text
  const access::Guard* guard = nullptr;   // null: whoever reaches us may do everything
  HttpMetrics* metrics = nullptr;
  std::span<const Route> routes;
  SessionLimits limits;
  SpoolLimits spool;
  int64_t inline_bytes_max = 64 * 1024;  // some 4,000 keys; 0: reads may wait, so workers have them
  WorkerPool* workers = nullptr;         // many threads: they mostly wait for a sync that is shared
  WorkerPool* bulk = nullptr;            // few threads: each may hold a decoded row group
  std::function<void(const RequestEvent&)> on_request;  // any thread; may be empty
  std::atomic<bool> draining = false;                   // answers ask to close; readiness fails
  std::atomic<bool> cancelled = false;                  // long writes give up
  std::atomic<int64_t> connections = 0;
  std::atomic<int64_t> requests = 0;
};

struct EventLoop;  // session.cc

class IoThread {
 public:
  explicit IoThread(ServerShared* shared);
  ~IoThread();

  // Takes over a connected socket. Threads: any.
  void Adopt(int socket);
  // Closes connections that wait between requests. Threads: any.
  void CloseIdle();
  // Ends the loop and joins the thread; connections are cut when this object goes.
  void Stop();

 private:
  std::unique_ptr<EventLoop> loop_;
};

}  // namespace fletching::http
