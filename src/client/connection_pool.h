// Connections to one server, kept for the next call.
//
// Threads: any. A forked child starts with a pool of its own: it shares no connection with its
// parent, whatever the parent's threads were doing at the fork.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "client/socket.h"
#include "tls/tls_context.h"

namespace fletching::client {

struct PoolOptions {
  std::string host = "127.0.0.1";  // a name or an address
  uint16_t port = 8080;
  int64_t connect_timeout_ms = 5'000;
  int64_t stall_timeout_ms = 30'000;                // without a byte moving either way
  std::shared_ptr<const tls::TlsContext> tls = {};  // null: plain text
  std::string api_key = {};                         // sent with every call; never in an error
  size_t idle_connections_max = 16;  // kept between calls; more may be open while calls run
};

class ConnectionPool {
 public:
  // Looks the name up, which may take a while; connects to nothing yet.
  // Errors: kUnavailable naming the host.
  static Result<std::shared_ptr<ConnectionPool>> Make(const PoolOptions& options);
  ~ConnectionPool();

  const PoolOptions& options() const { return options_; }
  const std::string& where() const { return where_; }  // "host:port", for errors

  size_t address_count() const { return addresses_.size(); }

  // A connection that was idle and is still good, or none.
  Socket TakeIdle();
  // Begins to connect to address number `at`; the socket is writable once that is decided.
  // Errors: kUnavailable.
  Result<Socket> Connect(size_t at) const;
  void GiveBack(Socket socket);

 private:
  struct Idle;  // of one process
  struct Address {
    int family = 0;
    std::vector<uint8_t> bytes;
  };

  explicit ConnectionPool(const PoolOptions& options);
  Idle* MyIdle();

  PoolOptions options_;
  std::string where_;
  std::vector<Address> addresses_;
  std::atomic<Idle*> idle_ = nullptr;
};

}  // namespace fletching::client
