// The Flight door: columns by key and batches into tables over Arrow Flight.
//
//   auto server = FlightServer::Start(engine.get(), options).ValueOrDie();
//   server->address();      // "127.0.0.1:8081"
//   server->Stop(4'000);    // no new calls; calls under way finish
//
// Which call does what stands in service.h, what goes over the wire in docs/protocol.md. Threads,
// sockets and framing are Arrow's Flight server and the gRPC inside of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "fletching/fwd.h"
#include "fletching/status.h"

namespace fletching::access {
class Guard;
}

namespace fletching::flight {

struct CallEvent {
  std::string_view method = {};  // "DoGet"
  std::string_view status = {};  // "ok", or the name of an error code
  int64_t micros = 0;            // until the answer begins; of a stream: until it ends
  int64_t rows = 0;              // rows answered or written
  std::string_view error = {};
  bool failed = false;  // our fault, not the client's
};

// The texts of two files in PEM.
struct TlsPem {
  std::string certificate;  // the server's first
  std::string key;
};

struct FlightServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8081;                          // 0: any free one
  int64_t calls_max = 1024;                      // in flight; one more is UNAVAILABLE
  int64_t keys_bytes_max = int64_t{64} << 20;    // a ticket, or a batch of keys
  int64_t batch_bytes_max = int64_t{256} << 20;  // one batch of a write, as it is sent and unpacked
  TlsPem tls;                                    // empty: plain text
  const access::Guard* guard = nullptr;          // null: no keys. Lifetime: outlives the server
  std::function<void(const CallEvent&)> on_call;  // any thread
};

class FlightServer {
 public:
  // On return calls are answered. Lifetime: `engine` outlives the server.
  // Errors: kUnavailable when the address cannot be had; kInvalidArgument.
  static Result<std::unique_ptr<FlightServer>> Start(Engine* engine,
                                                     const FlightServerOptions& options);
  ~FlightServer();

  const std::string& address() const;  // "127.0.0.1:8081", with the port in use
  int64_t call_count() const;          // in flight

  // Refuses new calls, waits for those under way, then cuts what is left. Exchanges that wait for
  // their client are not under way. Once. True when nothing had to be cut.
  bool Stop(int64_t grace_ms);

 private:
  struct Impl;
  explicit FlightServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fletching::flight
