// One TLS connection over a socket that does not block. Whoever drives it waits for the socket.
//
// The handshake is part of the first reads and writes. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "fletching/status.h"

#include "base/bytes.h"
#include "tls/tls_context.h"

struct ssl_st;

namespace fletching::tls {

enum class TlsState : uint8_t {
  kMoved,      // some bytes, at least one
  kWantRead,   // nothing yet: call again, with the same bytes, when the socket can be read
  kWantWrite,  // or written
  kEnd,        // the other side is done
  kFailed,     // the connection cannot go on; error() says why
};

class TlsStream {
 public:
  // Lifetime: `socket` stays open as long as the stream is used; it is not closed.
  static Result<std::unique_ptr<TlsStream>> Accept(std::shared_ptr<const TlsContext> context,
                                                   int socket);
  // `host`: a name or an address, which the certificate has to be for.
  static Result<std::unique_ptr<TlsStream>> Connect(std::shared_ptr<const TlsContext> context,
                                                    int socket, const std::string& host);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  TlsState Read(std::span<uint8_t> room, size_t* moved);
  TlsState Write(ByteSpan bytes, size_t* moved);
  // Tells the other side that nothing more comes, if the socket takes it at once.
  void Close();
  const std::string& error() const { return error_; }

 private:
  TlsStream(std::shared_ptr<const TlsContext> context, ssl_st* connection)
      : context_(std::move(context)), connection_(connection) {}
  static Result<std::unique_ptr<TlsStream>> Make(std::shared_ptr<const TlsContext> context,
                                                 int socket);
  TlsState After(int result, size_t* moved);

  const std::shared_ptr<const TlsContext> context_;
  ssl_st* const connection_;
  std::string error_;
  bool has_failed_ = false;
};

}  // namespace fletching::tls
