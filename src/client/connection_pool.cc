#include "client/connection_pool.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace fletching::client {

struct ConnectionPool::Idle {
  pid_t owner = ::getpid();
  std::mutex mutex;
  std::vector<Socket> sockets;  // used last, taken first
};

ConnectionPool::ConnectionPool(const PoolOptions& options)
    : options_(options),
      where_(
          (options.host.find(':') == std::string::npos ? options.host : "[" + options.host + "]") +
          ":" + std::to_string(options.port)),
      idle_(new Idle) {}

ConnectionPool::~ConnectionPool() {
  Idle* idle = idle_.load();
  // What a parent left behind is not ours to end: closing sockets is harmless, a mutex that one of
  // its threads held is not.
  if (idle->owner == ::getpid()) delete idle;
}

Result<std::shared_ptr<ConnectionPool>> ConnectionPool::Make(const PoolOptions& options) {
  auto pool = std::shared_ptr<ConnectionPool>(new ConnectionPool(options));
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &wanted, &found);
  if (error != 0) {
    return Unavailable("cannot find host '" + options.host + "': " + ::gai_strerror(error));
  }
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(at->ai_addr);
    pool->addresses_.push_back({at->ai_family, {bytes, bytes + at->ai_addrlen}});
  }
  ::freeaddrinfo(found);
  return pool;
}

// A child gets a copy of its parent's pool in whatever state it was; it looks at the pid alone and
// leaves the rest where it is.
ConnectionPool::Idle* ConnectionPool::MyIdle() {
  Idle* idle = idle_.load(std::memory_order_acquire);
  if (idle->owner == ::getpid()) return idle;
  auto mine = std::make_unique<Idle>();
  if (idle_.compare_exchange_strong(idle, mine.get())) return mine.release();
  return idle;
}

Socket ConnectionPool::TakeIdle() {
  Idle* idle = MyIdle();
  const std::lock_guard lock(idle->mutex);
  while (!idle->sockets.empty()) {
    Socket socket = std::move(idle->sockets.back());
    idle->sockets.pop_back();
    // Between calls a server has nothing to say: a byte or an end means that it hung up.
    char byte;
    const ssize_t got = ::recv(socket.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return socket;
  }
  return {};
}

Result<Socket> ConnectionPool::Connect(size_t at) const {
  const Address& address = addresses_[at];
  Socket socket(::socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) {
    return Unavailable("cannot make a socket for " + where_ + ": " + std::strerror(errno));
  }
  const int on = 1;
  ::setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const auto* name = reinterpret_cast<const sockaddr*>(address.bytes.data());
  const auto size = static_cast<socklen_t>(address.bytes.size());
  if (::connect(socket.descriptor(), name, size) != 0 && errno != EINPROGRESS) {
    return Unavailable("cannot connect to " + where_ + ": " + std::strerror(errno));
  }
  if (options_.tls != nullptr) ARROW_RETURN_NOT_OK(socket.StartTls(options_.tls, options_.host));
  return socket;
}

void ConnectionPool::GiveBack(Socket socket) {
  Idle* idle = MyIdle();
  const std::lock_guard lock(idle->mutex);
  if (idle->sockets.size() < options_.idle_connections_max) {
    idle->sockets.push_back(std::move(socket));
  }
}

}  // namespace fletching::client
