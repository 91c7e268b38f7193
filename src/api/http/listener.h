// Sockets that listen, with errors that say what to do. Knows TCP, not HTTP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fletching/status.h"

namespace fletching::http {

struct Listener {
  int socket = -1;
  std::string address;  // "127.0.0.1:8080", "[::1]:8080"
};

// Errors: kUnavailable: in use, not permitted, no such address; kInvalidArgument: no such name.
Result<Listener> Listen(const std::string& host, uint16_t port);

// The next connection, non-blocking and without Nagle's delay; -1 with errno when there is none.
int AcceptConnection(int listener);

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

// "127.0.0.1:8080", "[::1]:0", "localhost:80", ":8080" (any interface is not meant: loopback).
// Errors: kInvalidArgument.
Result<HostPort> ParseHostPort(std::string_view text);

}  // namespace fletching::http
