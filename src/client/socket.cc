#include "client/socket.h"

#include <cerrno>
#include <sys/socket.h>
#include <unistd.h>

namespace fletching::client {

using tls::TlsState;

Status Socket::StartTls(std::shared_ptr<const tls::TlsContext> context, const std::string& host) {
  return tls::TlsStream::Connect(std::move(context), descriptor_, host).Value(&tls_);
}

ssize_t Socket::Send(std::array<iovec, 2>* parts) {
  if (tls_ == nullptr) {
    msghdr message = {};
    message.msg_iov = parts->data();
    message.msg_iovlen = parts->size();
    return ::sendmsg(descriptor_, &message, MSG_NOSIGNAL);
  }
  const iovec& part = (*parts)[0].iov_len > 0 ? (*parts)[0] : (*parts)[1];
  size_t moved = 0;
  const TlsState state =
      tls_->Write({static_cast<const uint8_t*>(part.iov_base), part.iov_len}, &moved);
  return Judge(state, moved, TlsState::kWantWrite);
}

ssize_t Socket::Receive(void* out, size_t count) {
  if (tls_ == nullptr) return ::recv(descriptor_, out, count, 0);
  size_t moved = 0;
  const TlsState state = tls_->Read({static_cast<uint8_t*>(out), count}, &moved);
  return Judge(state, moved, TlsState::kWantRead);
}

ssize_t Socket::Judge(TlsState state, size_t moved, TlsState natural) {
  wants_other_way_ = false;
  switch (state) {
    case TlsState::kMoved:
      return static_cast<ssize_t>(moved);
    case TlsState::kEnd:
      return 0;
    case TlsState::kFailed:
      errno = EPROTO;
      return -1;
    default:
      wants_other_way_ = state != natural;
      errno = EAGAIN;
      return -1;
  }
}

void Socket::Close() {
  if (descriptor_ < 0) return;
  if (tls_ != nullptr) tls_->Close();
  tls_ = nullptr;
  ::close(descriptor_);
  descriptor_ = -1;
}

}  // namespace fletching::client
