#include "tls/tls_stream.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "openssl/ssl.h"

#include "tls/ssl_library.h"

namespace fletching::tls {
namespace {

int Length(size_t bytes) { return static_cast<int>(std::min<size_t>(bytes, INT_MAX)); }

bool IsAddress(const std::string& host) {
  in6_addr parsed = {};
  return ::inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

}  // namespace

Result<std::unique_ptr<TlsStream>> TlsStream::Make(std::shared_ptr<const TlsContext> context,
                                                   int socket) {
  const SslLibrary& ssl = context->ssl();
  ssl_st* const connection = ssl.ssl_new(context->get());
  if (connection == nullptr) return Unavailable("TLS: " + LastSslError(ssl));
  auto stream = std::unique_ptr<TlsStream>(new TlsStream(std::move(context), connection));
  if (ssl.set_fd(connection, socket) != 1) return Unavailable("TLS: " + LastSslError(ssl));
  return stream;
}

Result<std::unique_ptr<TlsStream>> TlsStream::Accept(std::shared_ptr<const TlsContext> context,
                                                     int socket) {
  ARROW_ASSIGN_OR_RAISE(auto stream, Make(std::move(context), socket));
  stream->context_->ssl().set_accept_state(stream->connection_);
  return stream;
}

Result<std::unique_ptr<TlsStream>> TlsStream::Connect(std::shared_ptr<const TlsContext> context,
                                                      int socket, const std::string& host) {
  ARROW_ASSIGN_OR_RAISE(auto stream, Make(std::move(context), socket));
  const SslLibrary& ssl = stream->context_->ssl();
  ssl_st* const connection = stream->connection_;
  bool taken = false;
  if (IsAddress(host)) {
    taken = ssl.set1_ip_asc(ssl.get0_param(connection), host.c_str()) == 1;
  } else {
    std::string name = host;
    taken = ssl.set1_host(connection, name.c_str()) == 1 &&
            ssl.ssl_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                         name.data()) == 1;
  }
  if (!taken) return InvalidArgument("'" + host + "' is no name that a certificate could have");
  ssl.set_connect_state(connection);
  return stream;
}

TlsStream::~TlsStream() { context_->ssl().ssl_free(connection_); }

TlsState TlsStream::Read(std::span<uint8_t> room, size_t* moved) {
  context_->ssl().err_clear();
  return After(context_->ssl().read(connection_, room.data(), Length(room.size())), moved);
}

TlsState TlsStream::Write(ByteSpan bytes, size_t* moved) {
  context_->ssl().err_clear();
  return After(context_->ssl().write(connection_, bytes.data(), Length(bytes.size())), moved);
}

TlsState TlsStream::After(int result, size_t* moved) {
  *moved = 0;
  if (result > 0) {
    *moved = static_cast<size_t>(result);
    return TlsState::kMoved;
  }
  const int error_number = errno;
  const SslLibrary& ssl = context_->ssl();
  switch (ssl.get_error(connection_, result)) {
    case SSL_ERROR_WANT_READ:
      return TlsState::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return TlsState::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return TlsState::kEnd;
    case SSL_ERROR_SYSCALL:
      has_failed_ = true;
      error_ = error_number != 0 ? std::strerror(error_number) : "the connection ended";
      ssl.err_clear();
      return TlsState::kFailed;
    default:
      break;
  }
  has_failed_ = true;
  error_ = LastSslError(ssl);
  const long verified = ssl.get_verify_result(connection_);
  if (verified != X509_V_OK) error_ = ssl.verify_error_text(verified);
  return TlsState::kFailed;
}

void TlsStream::Close() {
  if (has_failed_) return;
  context_->ssl().err_clear();
  context_->ssl().shutdown(connection_);
  context_->ssl().err_clear();
}

}  // namespace fletching::tls
