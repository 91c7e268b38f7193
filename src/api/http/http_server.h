// The HTTP door: listens, hands connections to event loops, and winds down without losing any
// request that has begun.
//
//   auto server = HttpServer::Start(engine.get(), options).ValueOrDie();
//   server->address();      // "127.0.0.1:8080"
//   server->BeginDrain();   // /readyz fails, everything else goes on
//   server->Stop(4'000);    // no new connections; requests under way finish
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "api/http/session.h"

namespace fletching::http {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address or a name; "::1" and "[::1]" for IPv6
  uint16_t port = 8080;            // 0: any free one
  int io_threads = 0;              // 0: one per core, 8 at most
  // Writers wait together for one sync, so they may be many; 64 fill a commit well.
  int worker_threads = 64;
  int bulk_threads = 2;  // bodies of more than 8 MiB decoded at a time
  int64_t connections_max = 10'000;
  SessionLimits limits;
  bool reads_may_wait = false;               // for a disk or a remote: then no event loop does them
  std::span<const Route> routes = Routes();  // MetricsRoutes() for a port that has only these
  // What is counted, and shown at /metrics. Null: a registry of the server's own.
  // Lifetime: outlives the server.
  Metrics* metrics = nullptr;
  HandlerOptions handlers;
  const tls::TlsIdentity* tls = nullptr;  // null: plain text. Lifetime: outlives the server
  const access::Guard* guard = nullptr;   // null: no keys. Lifetime: outlives the server
  std::string spool_folder;               // for long bodies; the data folder
  std::function<void(const RequestEvent&)> on_request;  // any thread
};

class HttpServer {
 public:
  // On return connections are accepted. Lifetime: `engine` outlives the server.
  // Errors: kUnavailable when the address cannot be had, saying why; kInvalidArgument.
  static Result<std::unique_ptr<HttpServer>> Start(Engine* engine,
                                                   const HttpServerOptions& options);
  ~HttpServer();

  const std::string& address() const;  // "127.0.0.1:8080", "[::1]:8080", with the port in use

  // Readiness fails from now on, and answers ask their connections to close.
  void BeginDrain();
  // Closes the door, waits for requests under way, then cuts what is left. Once.
  // True when nothing had to be cut.
  bool Stop(int64_t grace_ms);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fletching::http
