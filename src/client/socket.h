// A socket of ours, not blocking, in plain text or TLS.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <sys/types.h>
#include <sys/uio.h>
#include <utility>

#include "tls/tls_stream.h"

namespace fletching::client {

// Closes the socket at the end. Threads: one at a time. In TLS a write may raise SIGPIPE, which
// Python ignores, as any program with sockets should.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() { Close(); }
  Socket(Socket&& other) noexcept
      : tls_(std::move(other.tls_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    Close();
    tls_ = std::move(other.tls_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    return *this;
  }

  // From now on it speaks TLS with `host`.
  Status StartTls(std::shared_ptr<const tls::TlsContext> context, const std::string& host);
  bool is_tls() const { return tls_ != nullptr; }
  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

  // As sendmsg and recv: bytes moved, or -1 and errno. In TLS, errno is EAGAIN or EPROTO.
  ssize_t Send(std::array<iovec, 2>* parts);
  ssize_t Receive(void* out, size_t count);
  // After EAGAIN: TLS waits for the other direction than the one that was asked for.
  bool wants_other_way() const { return wants_other_way_; }
  const std::string& tls_error() const { return tls_->error(); }
  void Close();

 private:
  ssize_t Judge(tls::TlsState state, size_t moved, tls::TlsState natural);

  std::unique_ptr<tls::TlsStream> tls_;
  int descriptor_ = -1;
  bool wants_other_way_ = false;
};

}  // namespace fletching::client
