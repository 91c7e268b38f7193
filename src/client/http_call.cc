#include "client/http_call.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

#include "arrow/buffer.h"
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "api/error_map.h"
#include "api/json_tree.h"
#include "base/check.h"

namespace fletching::client {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

// Room for a header and a short answer; what is longer goes where it belongs without a stop here.
constexpr size_t kReadBytes = 16 * 1024;
constexpr int64_t kTrustedBytes = int64_t{1} << 30;  // of a length; beyond it, memory as bytes come
constexpr int kPollSliceMs = 200;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

class HttpCall::Impl {
 public:
  Impl(std::shared_ptr<ConnectionPool> pool, CallRequest request)
      : pool_(std::move(pool)), request_(std::move(request)) {
    WriteHead();
  }

  Result<Wait> Advance();
  Result<int64_t> ReadBody(uint8_t* out, int64_t count);
  int descriptor() const { return socket_.descriptor(); }
  int64_t timeout_ms() const {
    return state_ == State::kConnecting ? pool_->options().connect_timeout_ms
                                        : pool_->options().stall_timeout_ms;
  }
  Status TimedOut() const;
  bool began() const { return began_; }
  void Restart() {
    FLETCHING_CHECK(!began_);
    state_ = State::kStart;
  }
  CallReply& reply() { return reply_; }

 private:
  enum class State : uint8_t { kStart, kConnecting, kSending, kHead, kBody, kDone };
  using Parser = http::response_parser<http::buffer_body>;

  void WriteHead();
  Status Start(bool fresh);
  Status ConnectNext();
  Result<bool> Connected();
  Result<bool> Send();
  Status NextPiece();
  bool HasAnswer() const;
  void ResetParser();
  Result<bool> ReadHead();
  Status TakeHead();
  Result<bool> ReadAll();
  Result<int64_t> ReadPlain(uint8_t* out, int64_t count);
  Result<int64_t> ReadChunked(uint8_t* out, int64_t count);
  Result<bool> Fill();
  Status Ended() const;
  Status NoTls() const;
  void Finish();

  std::shared_ptr<ConnectionPool> pool_;
  CallRequest request_;
  State state_ = State::kStart;
  Socket socket_;
  size_t address_ = 0;
  bool began_ = false;
  bool reused_ = false;
  bool repeated_ = false;
  bool answered_early_ = false;

  std::string head_;
  std::string chunk_head_;
  std::shared_ptr<arrow::Buffer> piece_;
  bool pieces_done_ = false;
  int64_t piece_count_ = 0;
  std::array<iovec, 2> out_ = {};

  std::string in_;  // received, not yet parsed: [in_at_, in_end_)
  size_t in_at_ = 0;
  size_t in_end_ = 0;
  std::optional<Parser> parser_;
  bool head_wants_more_ = false;
  bool chunked_ = false;
  bool until_end_ = false;  // the body ends with the connection
  int64_t body_left_ = 0;
  CallReply reply_;
  std::shared_ptr<arrow::ResizableBuffer> body_;
  int64_t body_bytes_ = 0;
};

void HttpCall::Impl::WriteHead() {
  head_ = request_.method + " " + request_.target + " HTTP/1.1\r\nHost: " + pool_->where();
  const std::string& api_key = pool_->options().api_key;
  if (!api_key.empty()) head_ += "\r\nAuthorization: Bearer " + api_key;
  if (!request_.accept.empty()) head_ += "\r\nAccept: " + request_.accept;
  if (!request_.content_type.empty()) head_ += "\r\nContent-Type: " + request_.content_type;
  if (request_.next_piece) {
    head_ += "\r\nTransfer-Encoding: chunked";
  } else if (request_.body != nullptr || request_.method != "GET") {
    const int64_t bytes = request_.body == nullptr ? 0 : request_.body->size();
    head_ += "\r\nContent-Length: " + std::to_string(bytes);
  }
  head_ += "\r\n\r\n";
}

Status HttpCall::Impl::Ended() const {
  const bool reading = state_ == State::kBody;
  std::string text = pool_->where() + " ended the connection ";
  text += reading ? "in the middle of its answer" : "before it answered";
  if (reading && !chunked_) {
    text += " (" + std::to_string(body_left_) + " bytes are missing)";
  }
  if (!request_.safe_to_repeat) text += "; what was asked may have been done or not";
  return Unavailable(std::move(text));
}

Status HttpCall::Impl::NoTls() const {
  return Unavailable("no TLS with " + pool_->where() + ": " + socket_.tls_error() +
                     "; is it https there, and is its certificate one of tls_ca's?");
}

Status HttpCall::Impl::TimedOut() const {
  const std::string time = std::to_string(timeout_ms()) + " ms";
  std::string text = state_ == State::kConnecting
                         ? "no connection to " + pool_->where() + " after " + time
                         : "no byte to or from " + pool_->where() + " for " + time;
  if (!request_.safe_to_repeat) text += "; what was asked may still be done";
  return MakeError(ErrorCode::kDeadline, std::move(text));
}

Status HttpCall::Impl::Start(bool fresh) {
  socket_ = fresh ? Socket() : pool_->TakeIdle();
  reused_ = socket_.is_open();
  in_at_ = in_end_ = 0;
  head_wants_more_ = false;
  out_[0] = {head_.data(), head_.size()};
  out_[1] = {};
  if (request_.body != nullptr) {
    out_[1] = {const_cast<uint8_t*>(request_.body->data()),
               static_cast<size_t>(request_.body->size())};
  }
  if (reused_) {
    state_ = State::kSending;
    return Status::OK();
  }
  address_ = 0;
  return ConnectNext();
}

Status HttpCall::Impl::ConnectNext() {
  state_ = State::kConnecting;
  Result<Socket> socket = pool_->Connect(address_++);
  while (!socket.ok() && address_ < pool_->address_count()) socket = pool_->Connect(address_++);
  ARROW_ASSIGN_OR_RAISE(socket_, std::move(socket));
  return Status::OK();
}

Result<bool> HttpCall::Impl::Connected() {
  pollfd ready = {socket_.descriptor(), POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0) return false;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(socket_.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0) {
    state_ = State::kSending;
    return true;
  }
  const Status refused = Unavailable("cannot connect to " + pool_->where() + ": " +
                                     std::strerror(error) + "; is fletchingd running there?");
  if (address_ == pool_->address_count() || !ConnectNext().ok()) return refused;
  return false;
}

bool HttpCall::Impl::HasAnswer() const {
  pollfd ready = {socket_.descriptor(), POLLIN, 0};
  return ::poll(&ready, 1, 0) > 0;
}

Status HttpCall::Impl::NextPiece() {
  ARROW_ASSIGN_OR_RAISE(piece_, request_.next_piece());
  chunk_head_.assign(piece_count_++ > 0 ? "\r\n" : "");
  if (piece_ == nullptr) {
    pieces_done_ = true;
    chunk_head_ += "0\r\n\r\n";
    out_[1] = {};
  } else {
    std::array<char, 24> size;
    const int length = snprintf(size.data(), size.size(), "%llx\r\n",
                                static_cast<unsigned long long>(piece_->size()));
    chunk_head_.append(size.data(), static_cast<size_t>(length));
    out_[1] = {const_cast<uint8_t*>(piece_->data()), static_cast<size_t>(piece_->size())};
  }
  out_[0] = {chunk_head_.data(), chunk_head_.size()};
  return Status::OK();
}

// False: the socket takes no more for now.
Result<bool> HttpCall::Impl::Send() {
  while (true) {
    if (out_[0].iov_len + out_[1].iov_len == 0) {
      if (!request_.next_piece || pieces_done_) break;
      ARROW_RETURN_NOT_OK(NextPiece());
    }
    const ssize_t sent = socket_.Send(&out_);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (socket_.is_tls() && !began_ && !WouldBlock()) return NoTls();
      // Of what can be read much is TLS's own; what is more is an answer.
      if (socket_.is_tls() && WouldBlock()) {
        ARROW_ASSIGN_OR_RAISE(const bool early, began_ ? Fill() : false);
        if (!early) return false;
        answered_early_ = true;
        break;
      }
      // A server may refuse a long body before it has all of it; if it hung up, reading says so.
      if (WouldBlock() && !HasAnswer()) return false;
      answered_early_ = true;
      break;
    }
    began_ = true;
    size_t left = static_cast<size_t>(sent);
    for (iovec& part : out_) {
      const size_t moved = std::min(left, part.iov_len);
      part.iov_base = static_cast<char*>(part.iov_base) + moved;
      part.iov_len -= moved;
      left -= moved;
    }
  }
  state_ = State::kHead;
  ResetParser();
  return true;
}

void HttpCall::Impl::ResetParser() {
  parser_.emplace();
  parser_->body_limit(boost::none);
  parser_->eager(false);
}

// Receives something into in_. False: nothing is there yet. At the end in_at_ == in_end_.
Result<bool> HttpCall::Impl::Fill() {
  if (in_.empty()) in_.resize(kReadBytes);
  if (in_at_ == in_end_) in_at_ = in_end_ = 0;
  if (in_end_ == in_.size()) {
    if (in_at_ == 0) return Unavailable(pool_->where() + " sends a header that is too long");
    std::memmove(in_.data(), in_.data() + in_at_, in_end_ - in_at_);
    in_end_ -= in_at_;
    in_at_ = 0;
  }
  while (true) {
    const ssize_t got = socket_.Receive(in_.data() + in_end_, in_.size() - in_end_);
    if (got > 0) {
      in_end_ += static_cast<size_t>(got);
      return true;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && WouldBlock()) return false;
    if (state_ == State::kBody && until_end_ && got == 0) return true;
    return Ended();
  }
}

Result<bool> HttpCall::Impl::ReadHead() {
  while (!parser_->is_header_done()) {
    if (head_wants_more_ || in_at_ == in_end_) {
      const bool first = in_end_ == 0;
      Result<bool> filled = Fill();
      if (!filled.ok()) {
        if (!first || !reused_ || !request_.safe_to_repeat || repeated_) return filled.status();
        repeated_ = true;  // it hung up at the very moment we asked
        ARROW_RETURN_NOT_OK(Start(true));
        return false;
      }
      if (!*filled) return false;
    }
    error_code ec;
    in_at_ += parser_->put(asio::const_buffer(in_.data() + in_at_, in_end_ - in_at_), ec);
    head_wants_more_ = ec == http::error::need_more;
    if (ec && !head_wants_more_) {
      return Unavailable(pool_->where() + " does not answer in HTTP: " + ec.message());
    }
    if (parser_->is_header_done() && parser_->get().result_int() < 200) ResetParser();
  }
  ARROW_RETURN_NOT_OK(TakeHead());
  return true;
}

Status HttpCall::Impl::TakeHead() {
  const auto& head = parser_->get();
  const auto number = [&](const char* name) {
    const auto field = head[name];
    return std::strtoull(std::string(field.data(), field.size()).c_str(), nullptr, 10);
  };
  const auto text = [](auto field) { return std::string(field.data(), field.size()); };
  reply_.status = static_cast<int>(head.result_int());
  reply_.content_type = text(head[http::field::content_type]);
  reply_.error_code = text(head["Fletching-Error"]);
  const bool counts = head.find("Fletching-Rows") != head.end();
  reply_.row_count = counts ? static_cast<int64_t>(number("Fletching-Rows")) : -1;
  reply_.version = number("Fletching-Version");
  chunked_ = parser_->chunked();
  const auto length = parser_->content_length();
  const bool empty = reply_.status == 204 || reply_.status == 304 || request_.method == "HEAD";
  until_end_ = !chunked_ && !length && !empty;
  body_left_ = length && !empty ? static_cast<int64_t>(*length) : 0;
  if (!empty && length && *length > static_cast<uint64_t>(INT64_MAX)) {
    return Unavailable(pool_->where() + " announces an answer of impossible length");
  }
  state_ = State::kBody;
  return Status::OK();
}

Result<int64_t> HttpCall::Impl::ReadPlain(uint8_t* out, int64_t count) {
  if (!until_end_) count = std::min(count, body_left_);
  if (count == 0) return 0;
  int64_t got = std::min(count, static_cast<int64_t>(in_end_ - in_at_));
  if (got > 0) {
    std::memcpy(out, in_.data() + in_at_, static_cast<size_t>(got));
    in_at_ += static_cast<size_t>(got);
  } else {
    do {
      got = socket_.Receive(out, static_cast<size_t>(count));
    } while (got < 0 && errno == EINTR);
    if (got < 0 && WouldBlock()) return -1;
    if (got == 0 && until_end_) return 0;
    if (got <= 0) return Ended();
  }
  body_left_ -= got;
  return got;
}

Result<int64_t> HttpCall::Impl::ReadChunked(uint8_t* out, int64_t count) {
  if (count == 0) return 0;
  while (!parser_->is_done()) {
    auto& body = parser_->get().body();
    body.data = out;
    body.size = static_cast<size_t>(count);
    error_code ec;
    in_at_ += parser_->put(asio::const_buffer(in_.data() + in_at_, in_end_ - in_at_), ec);
    const int64_t got = count - static_cast<int64_t>(body.size);
    if (got > 0) return got;
    if (parser_->is_done()) break;
    if (ec && ec != http::error::need_more && ec != http::error::need_buffer) {
      return Unavailable(pool_->where() + " does not answer in HTTP: " + ec.message());
    }
    if (ec || in_at_ == in_end_) {
      ARROW_ASSIGN_OR_RAISE(const bool filled, Fill());
      if (!filled) return -1;
    }
  }
  return 0;
}

Result<int64_t> HttpCall::Impl::ReadBody(uint8_t* out, int64_t count) {
  if (state_ == State::kDone) return 0;
  ARROW_ASSIGN_OR_RAISE(const int64_t got,
                        chunked_ ? ReadChunked(out, count) : ReadPlain(out, count));
  if (got == 0 && count > 0) Finish();
  return got;
}

Result<bool> HttpCall::Impl::ReadAll() {
  if (body_ == nullptr) {
    const int64_t first = chunked_ || until_end_ ? static_cast<int64_t>(kReadBytes)
                                                 : std::min(body_left_, kTrustedBytes);
    ARROW_ASSIGN_OR_RAISE(body_, arrow::AllocateResizableBuffer(first));
  }
  while (true) {
    if (body_bytes_ == body_->size() && (chunked_ || until_end_ || body_left_ > 0)) {
      ARROW_RETURN_NOT_OK(body_->Resize(2 * body_->size() + 1, false));
    }
    const int64_t room = body_->size() - body_bytes_;
    ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadBody(body_->mutable_data() + body_bytes_, room));
    if (got < 0) return false;
    body_bytes_ += got;
    if (got == 0) break;
  }
  if (body_bytes_ != body_->size()) ARROW_RETURN_NOT_OK(body_->Resize(body_bytes_, false));
  reply_.body = body_;
  if (state_ != State::kDone) Finish();
  return true;
}

void HttpCall::Impl::Finish() {
  const bool clean = parser_->keep_alive() && !answered_early_ && !until_end_ && in_at_ == in_end_;
  state_ = State::kDone;
  if (clean) pool_->GiveBack(std::move(socket_));
  socket_.Close();
}

Result<HttpCall::Wait> HttpCall::Impl::Advance() {
  while (true) {
    switch (state_) {
      case State::kStart:
        ARROW_RETURN_NOT_OK(Start(false));
        break;
      case State::kConnecting: {
        ARROW_ASSIGN_OR_RAISE(const bool connected, Connected());
        if (!connected) return Wait::kWrite;
        break;
      }
      case State::kSending: {
        ARROW_ASSIGN_OR_RAISE(const bool sent, Send());
        if (!sent) return socket_.wants_other_way() ? Wait::kRead : Wait::kWrite;
        break;
      }
      case State::kHead: {
        ARROW_ASSIGN_OR_RAISE(const bool have, ReadHead());
        if (state_ == State::kConnecting) break;
        if (!have) return Wait::kRead;
        break;
      }
      case State::kBody: {
        // What went wrong is short, and wanted whole.
        if (request_.streamed_answer && reply_.status < 300) return Wait::kDone;
        ARROW_ASSIGN_OR_RAISE(const bool have, ReadAll());
        if (!have) return Wait::kRead;
        break;
      }
      case State::kDone:
        return Wait::kDone;
    }
  }
}

HttpCall::HttpCall(std::shared_ptr<ConnectionPool> pool, CallRequest request)
    : impl_(std::make_unique<Impl>(std::move(pool), std::move(request))) {}
HttpCall::~HttpCall() = default;
Result<HttpCall::Wait> HttpCall::Advance() { return impl_->Advance(); }
int HttpCall::descriptor() const { return impl_->descriptor(); }
int64_t HttpCall::timeout_ms() const { return impl_->timeout_ms(); }
Status HttpCall::TimedOut() const { return impl_->TimedOut(); }
bool HttpCall::began() const { return impl_->began(); }
void HttpCall::Restart() { impl_->Restart(); }
CallReply& HttpCall::reply() { return impl_->reply(); }
Result<int64_t> HttpCall::ReadBody(uint8_t* out, int64_t count) {
  return impl_->ReadBody(out, count);
}

Status WaitFor(const HttpCall& call, HttpCall::Wait wait,
               const std::function<Status()>& interrupt) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(call.timeout_ms());
  const short events = wait == HttpCall::Wait::kWrite ? POLLIN | POLLOUT : POLLIN;
  while (true) {
    pollfd ready = {call.descriptor(), events, 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    const auto slice = std::clamp<int64_t>(left.count(), 0, kPollSliceMs);
    const int got = ::poll(&ready, 1, static_cast<int>(slice));
    if (got > 0) return Status::OK();
    if (interrupt) ARROW_RETURN_NOT_OK(interrupt());
    if (Clock::now() >= deadline) return call.TimedOut();
  }
}

Status RunCall(HttpCall* call, const std::function<Status()>& interrupt) {
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const HttpCall::Wait wait, call->Advance());
    if (wait == HttpCall::Wait::kDone) return Status::OK();
    ARROW_RETURN_NOT_OK(WaitFor(*call, wait, interrupt));
  }
}

Status StatusOf(const CallReply& reply, const std::string& where) {
  if (reply.status >= 200 && reply.status < 300) return Status::OK();
  if (reply.status < 400) {
    return Unavailable(where + " answered " + std::to_string(reply.status) +
                       ", which fletchingd never does; is that the right URL?");
  }
  std::string message;
  if (reply.body != nullptr) {
    const std::string text = reply.body->ToString();
    const auto parsed = api::ParseJson(text);
    const api::JsonNode* error = parsed.ok() ? parsed->Find("error") : nullptr;
    message = error != nullptr && error->Is(api::JsonNode::Kind::kString) ? error->text
                                                                          : text.substr(0, 512);
  }
  if (reply.error_code.empty() && (reply.status == 404 || reply.status == 405)) {
    message += "; " + where + " may be older than this client, or no fletchingd";
  }
  if (message.empty()) message = where + " answered " + std::to_string(reply.status);
  // Several codes share a status, so the header decides; without it, the first code of the status.
  for (const api::ErrorAnswer& answer : api::ErrorAnswers()) {
    if (CodeName(answer.code) == reply.error_code) return MakeError(answer.code, message);
  }
  if (reply.status == 408) return MakeError(ErrorCode::kDeadline, message);
  for (const api::ErrorAnswer& answer : api::ErrorAnswers()) {
    if (answer.http_status == reply.status) return MakeError(answer.code, message);
  }
  const bool ours = reply.status < 500;
  return MakeError(ours ? ErrorCode::kInvalidArgument : ErrorCode::kInternal, message);
}

}  // namespace fletching::client
