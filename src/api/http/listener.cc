#include "api/http/listener.h"

#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fletching::http {
namespace {

constexpr int kBacklog = 4096;

std::string AddressOf(int socket) {
  sockaddr_storage name = {};
  socklen_t bytes = sizeof(name);
  getsockname(socket, reinterpret_cast<sockaddr*>(&name), &bytes);
  char host[NI_MAXHOST] = {};
  char port[NI_MAXSERV] = {};
  getnameinfo(reinterpret_cast<sockaddr*>(&name), bytes, host, sizeof(host), port, sizeof(port),
              NI_NUMERICHOST | NI_NUMERICSERV);
  const bool six = name.ss_family == AF_INET6;
  return (six ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

Status CannotListen(const std::string& where, int error) {
  std::string text = "cannot listen on " + where + ": " + std::strerror(error);
  if (error == EADDRINUSE) {
    text += ". Another program has this port; name another one, or port 0 for any free one";
  } else if (error == EACCES) {
    text += ". Ports below 1024 need a privilege; take a higher one";
  } else if (error == EADDRNOTAVAIL) {
    text += ". No interface of this machine has this address";
  }
  return Unavailable(std::move(text));
}

}  // namespace

Result<Listener> Listen(const std::string& host, uint16_t port) {
  const std::string where = host + ":" + std::to_string(port);
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failed != 0) {
    return InvalidArgument("'" + host + "' is no address to listen on: " + gai_strerror(failed));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  const int socket = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket < 0) return CannotListen(where, errno);
  const int on = 1;
  // A restart must not wait for the old connections' last packets to time out.
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(socket, found->ai_addr, found->ai_addrlen) != 0 || listen(socket, kBacklog) != 0) {
    const int error = errno;
    close(socket);
    return CannotListen(where, error);
  }
  return Listener{socket, AddressOf(socket)};
}

int AcceptConnection(int listener) {
  const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (socket < 0) return -1;
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return socket;
}

Result<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon == std::string_view::npos) {
    return InvalidArgument("'" + std::string(text) + "' is not HOST:PORT, such as 127.0.0.1:8080");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "127.0.0.1";
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), parsed.port);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return InvalidArgument("'" + std::string(digits) + "' is no port; ports are 0 to 65535");
  }
  parsed.host = host;
  return parsed;
}

}  // namespace fletching::http
