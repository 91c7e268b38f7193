// Size: the states of one connection, each of which hands over to the next.
#include "api/http/session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <unistd.h>
#include <unordered_set>
#include <utility>
#include <vector>

#include "arrow/buffer.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "api/error_map.h"
#include "api/http/read_buffer.h"
#include "api/http/request_reader.h"
#include "api/http/response_head.h"
#include "api/http/router.h"
#include "tls/tls_stream.h"

namespace fletching::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr size_t kReadBytes = ReadBuffer::kSmallBytes;
constexpr size_t kBulkReadBytes = 256 * 1024;        // of a body that is longer
constexpr int64_t kDropBytesMax = int64_t{1} << 20;  // of a body nobody wants; more: we hang up
constexpr int64_t kLingerMs = 1'000;
constexpr int64_t kSweepMs = 200;
constexpr int64_t kDrainMs = 1'000;  // for a piece of a stream, once the server is to end
// A body or an answer may be slow, but not so slow that it holds its memory for hours.
constexpr int64_t kRateGraceMs = 20'000;
constexpr int64_t kRateBytesPerSecond = 1024;

int64_t NowMs() {
  const auto now = steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

int64_t NowUnixSeconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

class Session;

struct EventLoop {
  explicit EventLoop(ServerShared* server) : shared(server) {}
  void Run();
  void Sweep();

  ServerShared* shared;
  // Only touched on the loop's thread. Declared before `io`, whose end is the end of sessions.
  std::unordered_set<Session*> sessions;
  asio::io_context io{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  asio::steady_timer timer{io};
  std::thread thread;
};

class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(EventLoop* home, int socket) : home_(home), shared_(home->shared), socket_(home->io) {
    home_->sessions.insert(this);
    error_code ec;
    socket_.assign(tcp::v4(), socket, ec);
    if (ec) ::close(socket);  // the first read fails and ends it
    socket_.non_blocking(true, ec);
    SetDeadline(Phase::kIdle, shared_->limits.idle_ms_max);
    if (shared_->tls != nullptr) StartTls();
  }
  ~Session() {
    ReleaseSlot();
    home_->sessions.erase(this);
    shared_->connections.fetch_sub(1);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Goes on until something has to be waited for.
  void Run() {
    while (Step()) {
    }
  }
  void CloseIfIdle();
  void CheckDeadline(int64_t now_ms);

 private:
  enum class Phase : uint8_t { kIdle, kHeader, kBody, kWorking, kWriting, kLingering, kClosed };

  bool Step();
  void StartTls();
  void StartRead();
  void StartTlsRead(std::span<uint8_t> room);
  void OnRead(const error_code& ec, size_t bytes);
  bool Parse();
  bool OnHead();
  std::optional<HttpResponse> Refusal();
  Status Admit();
  int64_t BodyBytesMax() const;
  bool SendContinue();
  bool StartFlush();
  bool Dispatch();
  void Handle();
  bool Refuse(HttpResponse response);
  bool StartWrite();
  bool ContinueWrite();
  void PrepareWrite();
  size_t SendSome(error_code* ec);
  size_t SendSomeTls(error_code* ec);
  bool Write();
  bool StartPiece();
  void TakePiece();
  bool FinishResponse();
  void Report();
  void ReleaseSlot();
  void Close();
  void SetDeadline(Phase phase, int64_t in_ms) {
    phase_ = phase;
    phase_started_ms_ = NowMs();
    phase_bytes_ = 0;
    deadline_ms_ = phase_started_ms_ + in_ms;
  }
  void Moved(size_t bytes) {
    phase_bytes_ += static_cast<int64_t>(bytes);
    if (phase_ == Phase::kBody || phase_ == Phase::kWriting) {
      deadline_ms_ = NowMs() + shared_->limits.stall_ms_max;
    }
  }

  EventLoop* home_;
  ServerShared* shared_;
  tcp::socket socket_;
  std::unique_ptr<tls::TlsStream> tls_;  // null: plain text
  tcp::socket::wait_type write_wait_ = tcp::socket::wait_write;
  ReadBuffer buffer_;

  Phase phase_ = Phase::kIdle;
  int64_t phase_started_ms_ = 0;
  int64_t phase_bytes_ = 0;
  int64_t deadline_ms_ = 0;
  bool timed_out_ = false;

  // Of the request at hand.
  RequestReader reader_;
  RouteMatch match_;
  HttpRequest request_;
  std::optional<HttpResponse> refusal_;  // decided at the head; sent once the body is dropped
  steady_clock::time_point started_;
  bool has_slot_ = false;
  bool close_after_ = false;

  HttpResponse response_;
  std::string head_;
  std::array<asio::const_buffer, 2> out_;
  std::shared_ptr<arrow::Buffer> piece_;  // of an answer that comes in pieces
  int64_t piece_count_ = 0;
  int64_t piece_bytes_ = 0;
  bool is_broken_ = false;
};

bool Session::Step() {
  switch (phase_) {
    case Phase::kIdle:
      if (buffer_.empty()) {
        StartRead();
        return false;
      }
      started_ = steady_clock::now();
      reader_.Start(shared_->limits.header_bytes_max);
      SetDeadline(Phase::kHeader, shared_->limits.header_ms_max);
      return true;
    case Phase::kHeader:
    case Phase::kBody:
      return Parse();
    case Phase::kLingering:
      buffer_.Use(buffer_.data().size());
      StartRead();
      return false;
    default:
      return false;
  }
}

void Session::StartRead() {
  const bool bulk =
      phase_ == Phase::kBody && reader_.body_bytes_left() > static_cast<int64_t>(kReadBytes);
  const std::span<uint8_t> room = buffer_.Room(bulk ? kBulkReadBytes : kReadBytes);
  // Who lingers reads only so that the kernel sends what was answered.
  if (tls_ != nullptr && phase_ != Phase::kLingering) return StartTlsRead(room);
  socket_.async_read_some(
      asio::buffer(room.data(), room.size()),
      [self = shared_from_this()](const error_code& ec, size_t bytes) { self->OnRead(ec, bytes); });
}

// The handshake comes with the first read, and has as long as a header has.
void Session::StartTls() {
  auto stream = tls::TlsStream::Accept(shared_->tls->context(), socket_.native_handle());
  if (!stream.ok()) return Close();
  tls_ = *std::move(stream);
  SetDeadline(Phase::kIdle, shared_->limits.header_ms_max);
}

// What is there already is handed on by way of the loop, so that a long body nests no calls.
void Session::StartTlsRead(std::span<uint8_t> room) {
  size_t moved = 0;
  const tls::TlsState state = tls_->Read(room, &moved);
  if (state == tls::TlsState::kWantRead || state == tls::TlsState::kWantWrite) {
    const bool reads = state == tls::TlsState::kWantRead;
    socket_.async_wait(reads ? tcp::socket::wait_read : tcp::socket::wait_write,
                       [self = shared_from_this(), room](const error_code& ec) {
                         if (ec || self->phase_ == Phase::kClosed) return self->OnRead(ec, 0);
                         self->StartTlsRead(room);
                       });
    return;
  }
  error_code ec;
  if (state == tls::TlsState::kEnd) ec = asio::error::eof;
  if (state == tls::TlsState::kFailed) ec = asio::error::connection_reset;
  asio::post(home_->io, [self = shared_from_this(), ec, moved] { self->OnRead(ec, moved); });
}

void Session::OnRead(const error_code& ec, size_t bytes) {
  if (phase_ == Phase::kClosed) return;
  if (ec) {
    const bool inside = phase_ == Phase::kHeader || phase_ == Phase::kBody;
    if (inside && timed_out_) {
      if (Refuse(ErrorResponse(408, "the request did not arrive in time"))) Run();
    } else if (inside && ec == asio::error::eof) {
      if (Refuse(ErrorResponse(400, "the connection ended in the middle of a request"))) Run();
    } else {
      Close();
    }
    return;
  }
  buffer_.Add(bytes);
  Moved(bytes);
  Run();
}

bool Session::Parse() {
  if (buffer_.empty()) {
    StartRead();
    return false;
  }
  size_t used = 0;
  const RequestReader::State state = reader_.Feed(buffer_.data(), &used);
  buffer_.Use(used);
  switch (state) {
    case RequestReader::State::kFault:
      // Of a body that is dropped anyway, why it is dropped says more than how it is too long.
      return Refuse(refusal_ ? std::move(*refusal_) : reader_.fault());
    case RequestReader::State::kHead:
      SetDeadline(Phase::kBody, shared_->limits.stall_ms_max);
      if (!OnHead()) return phase_ == Phase::kLingering;
      return reader_.head().has_body || Dispatch();
    case RequestReader::State::kDone:
      return Dispatch();
    default:
      break;
  }
  if (phase_ == Phase::kBody && reader_.spool().NeedsFlush()) return StartFlush();
  if (state == RequestReader::State::kBody) return true;
  StartRead();
  return false;
}

// Decides at the head what becomes of the request. False: it is answered, or about to be.
bool Session::OnHead() {
  const RequestHead& head = reader_.head();
  request_.method = head.method;
  request_.path = head.path;
  request_.query = head.query;
  request_.content_type = head.content_type;
  request_.accept = head.accept;
  match_ = FindRoute(head.method, head.path, shared_->routes);
  refusal_ = Refusal();
  const bool dropped = refusal_.has_value() || match_.route->body == BodyKind::kNone;
  const int64_t bytes_max = dropped ? kDropBytesMax : BodyBytesMax();
  const int64_t length = head.body_bytes.value_or(0);
  if (refusal_ && (length > bytes_max || head.expects_continue)) {
    Refuse(std::move(*refusal_));
    return false;
  }
  if (length > bytes_max) {
    Refuse(ErrorResponse(413, "the body has " + std::to_string(length) + " bytes; " +
                                  std::to_string(bytes_max) + " are allowed here"));
    return false;
  }
  if (head.expects_continue && !SendContinue()) return false;
  BodySpool spool(dropped ? nullptr : &shared_->spool);
  if (const Status status = spool.Expect(length); !status.ok()) {
    Refuse(ErrorResponse(status));
    return false;
  }
  reader_.TakeBody(std::move(spool), bytes_max);
  return true;
}

std::optional<HttpResponse> Session::Refusal() {
  if (match_.route == nullptr) {
    return NoRouteResponse(match_, reader_.head().method_name, request_.path);
  }
  has_slot_ = true;
  shared_->metrics->inflight().Add(1);
  const bool crowded = shared_->requests.fetch_add(1) >= shared_->limits.requests_max;
  if (crowded && !match_.route->always_served) {
    shared_->metrics->rejected_requests().Add();
    return ErrorResponse(503, "too many requests are in flight; try again in a moment");
  }
  if (const Status status = Admit(); !status.ok()) return ErrorResponse(status);
  return std::nullopt;
}

// Whether this caller may do this: decided at the head, once.
Status Session::Admit() {
  const access::Need need = match_.route->need;
  if (shared_->guard == nullptr || need == access::Need::kOpen) return Status::OK();
  const RequestHead& head = reader_.head();
  std::optional<std::string_view> secret = access::BearerOf(head.authorization);
  if (!secret && !head.api_key.empty()) secret = head.api_key;
  ARROW_ASSIGN_OR_RAISE(request_.caller, shared_->guard->Identify(secret));
  return shared_->guard->Check(request_.caller, need, match_.path_args[0]);
}

int64_t Session::BodyBytesMax() const {
  switch (match_.route->body) {
    case BodyKind::kSchema:
      return shared_->limits.schema_bytes_max;
    case BodyKind::kKeys:
      return shared_->limits.keys_bytes_max;
    default:
      return shared_->limits.data_bytes_max;
  }
}

bool Session::SendContinue() {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  error_code ec;
  // Nothing else is on its way out, so these few bytes always fit the socket's buffer.
  if (tls_ != nullptr) {
    size_t moved = 0;
    tls_->Write(AsBytes(kContinue), &moved);
    if (moved == kContinue.size()) return true;
  } else if (socket_.write_some(asio::buffer(kContinue), ec) == kContinue.size())
    return true;
  Close();
  return false;
}

bool Session::StartFlush() {
  phase_ = Phase::kWorking;
  shared_->workers->Post([self = shared_from_this()]() mutable {
    Status status = self->reader_.spool().Flush();
    Session* session = self.get();
    asio::post(session->home_->io, [self = std::move(self), status = std::move(status)] {
      self->SetDeadline(Phase::kBody, self->shared_->limits.stall_ms_max);
      if (status.ok() || self->Refuse(ErrorResponse(status))) self->Run();
    });
  });
  return false;
}

bool Session::Dispatch() {
  close_after_ = !reader_.head().keep_alive;
  if (refusal_) {
    response_ = std::move(*refusal_);
    return StartWrite();
  }
  const BodySpool& spool = reader_.spool();
  const bool small = spool.size_bytes() <= shared_->inline_bytes_max && !spool.spooled();
  if (match_.route->place == Place::kInline ||
      (match_.route->place == Place::kInlineWhenSmall && small)) {
    Handle();
    return StartWrite();
  }
  phase_ = Phase::kWorking;
  WorkerPool* pool = spool.spooled() ? shared_->bulk : shared_->workers;
  pool->Post([self = shared_from_this()]() mutable {
    self->Handle();
    // While a worker has the request the loop leaves the socket alone, so the answer can go at once
    // and need not wait for the loop to wake. Write meets an error again.
    self->PrepareWrite();
    error_code met_again;
    self->SendSome(&met_again);
    Session* session = self.get();
    // The last reference moves along, so a session always ends on its own thread.
    asio::post(session->home_->io, [self = std::move(self)] {
      if (self->ContinueWrite()) self->Run();
    });
  });
  return false;
}

// Threads: the loop's or a worker's; nothing else touches the request meanwhile.
void Session::Handle() {
  auto body = reader_.spool().Finish();
  if (!body.ok()) {
    response_ = ErrorResponse(body.status());
    return;
  }
  request_.body = body.MoveValueUnsafe();
  request_.path_args = std::move(match_.path_args);
  response_ = RunHandler(*match_.route, shared_->context, &request_);
}

// Answers at once and hangs up: the rest of the request is not worth reading.
bool Session::Refuse(HttpResponse response) {
  response_ = std::move(response);
  close_after_ = true;
  return StartWrite();
}

bool Session::StartWrite() {
  PrepareWrite();
  return ContinueWrite();
}

bool Session::ContinueWrite() {
  SetDeadline(Phase::kWriting, shared_->limits.stall_ms_max);
  return Write();
}

// Threads: the loop's or a worker's.
void Session::PrepareWrite() {
  HeadOptions options;
  if (shared_->draining.load(std::memory_order_relaxed)) close_after_ = true;
  options.http_1_0 = reader_.head().http_1_0;
  if (response_.next_piece != nullptr && options.http_1_0) close_after_ = true;
  options.keep_alive = !close_after_;
  options.now_seconds = NowUnixSeconds();
  WriteResponseHead(&head_, response_, options);
  const std::string_view body = reader_.head().is_head ? std::string_view() : response_.body();
  out_ = {asio::buffer(head_), asio::buffer(body)};
}

// Header and body leave in one call, or as much of them as the socket takes.
// Threads: the loop's or a worker's.
size_t Session::SendSome(error_code* ec) {
  if (tls_ != nullptr) return SendSomeTls(ec);
  const size_t wrote = socket_.write_some(out_, *ec);
  size_t left = wrote;
  for (asio::const_buffer& piece : out_) {
    const size_t part = std::min(left, piece.size());
    piece += part;
    left -= part;
  }
  return wrote;
}

// Threads: the loop's or a worker's.
size_t Session::SendSomeTls(error_code* ec) {
  size_t wrote = 0;
  for (asio::const_buffer& piece : out_) {
    while (piece.size() > 0) {
      size_t moved = 0;
      const ByteSpan bytes(static_cast<const uint8_t*>(piece.data()), piece.size());
      const tls::TlsState state = tls_->Write(bytes, &moved);
      piece += moved;
      wrote += moved;
      if (state == tls::TlsState::kMoved) continue;
      const bool waits = state == tls::TlsState::kWantRead || state == tls::TlsState::kWantWrite;
      write_wait_ =
          state == tls::TlsState::kWantRead ? tcp::socket::wait_read : tcp::socket::wait_write;
      if (waits) *ec = asio::error::would_block;
      if (!waits) *ec = asio::error::broken_pipe;
      return wrote;
    }
  }
  return wrote;
}

// Only what the socket does not take at once is waited for.
bool Session::Write() {
  while (out_[0].size() + out_[1].size() > 0) {
    error_code ec;
    const size_t wrote = SendSome(&ec);
    if (wrote > 0) Moved(wrote);
    if (ec == asio::error::would_block || ec == asio::error::try_again) {
      socket_.async_wait(write_wait_, [self = shared_from_this()](const error_code& wait_ec) {
        if (self->phase_ != Phase::kWriting) return;
        if (wait_ec) return self->Close();
        if (self->Write()) self->Run();
      });
      return false;
    }
    if (ec) {
      Close();
      return false;
    }
  }
  if (response_.next_piece != nullptr && !reader_.head().is_head) return StartPiece();
  return FinishResponse();
}

// Fetches the next piece on a worker, and comes back to Write with it.
bool Session::StartPiece() {
  phase_ = Phase::kWorking;
  shared_->workers->Post([self = shared_from_this()]() mutable {
    self->TakePiece();
    Session* session = self.get();
    asio::post(session->home_->io, [self = std::move(self)] {
      if (self->is_broken_) {
        self->Report();
        return self->Close();
      }
      if (self->ContinueWrite()) self->Run();
    });
  });
  return false;
}

// Leaves in `out_` what goes out next, or `is_broken_` when the rest cannot be had: then the client
// sees a body that ends too early, which is the truth.
// Threads: a worker's.
void Session::TakePiece() {
  Result<std::shared_ptr<arrow::Buffer>> piece = [&]() -> Result<std::shared_ptr<arrow::Buffer>> {
    try {
      return response_.next_piece();
    } catch (const std::exception& error) {
      return MakeError(ErrorCode::kInternal, error.what());
    }
  }();
  if (!piece.ok()) {
    response_.text = piece.status().message();
    response_.status = api::HttpStatusOf(piece.status());
    is_broken_ = true;
    return;
  }
  piece_ = piece.MoveValueUnsafe();
  const bool chunked = !reader_.head().http_1_0;
  // Every chunk but the first begins with the line end of the one before.
  head_.assign(chunked && piece_count_ > 0 ? "\r\n" : "");
  if (piece_ == nullptr) {
    response_.next_piece = nullptr;
    if (chunked) head_.append("0\r\n\r\n");
    out_ = {asio::buffer(head_), asio::const_buffer()};
    return;
  }
  ++piece_count_;
  piece_bytes_ += piece_->size();
  std::array<char, 20> size;
  const auto end = std::to_chars(size.data(), size.data() + size.size(), piece_->size(), 16).ptr;
  if (chunked) head_.append(size.data(), end).append("\r\n");
  out_ = {asio::buffer(head_), asio::buffer(piece_->data(), static_cast<size_t>(piece_->size()))};
}

bool Session::FinishResponse() {
  Report();
  ReleaseSlot();
  response_ = HttpResponse{};
  piece_ = nullptr;
  piece_count_ = piece_bytes_ = 0;
  request_ = HttpRequest{};
  refusal_.reset();
  match_ = RouteMatch{};
  reader_.TakeBody(BodySpool(), 0);  // its memory goes now, not with the next request
  if (!close_after_) {
    SetDeadline(Phase::kIdle, shared_->limits.idle_ms_max);
    return true;
  }
  // Closing with unread bytes would make the kernel take the answer back, so we read to the end.
  error_code ignored;
  if (tls_ != nullptr) tls_->Close();
  socket_.shutdown(tcp::socket::shutdown_send, ignored);
  SetDeadline(Phase::kLingering, kLingerMs);
  return true;
}

void Session::Report() {
  const auto took = steady_clock::now() - started_;
  const RequestHead& head = reader_.head();
  shared_->metrics->CountRequest(match_.route, head.method, head.is_head, response_.status, took);
  if (!shared_->on_request) return;
  RequestEvent event;
  if (match_.route != nullptr) event.operation_id = match_.route->operation_id;
  event.path = request_.path;
  event.status = response_.status;
  event.micros = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  event.request_bytes = reader_.spool().size_bytes();
  event.response_bytes = piece_bytes_ + static_cast<int64_t>(response_.body().size());
  if (response_.status >= 500) event.error = response_.text;
  shared_->on_request(event);
}

void Session::ReleaseSlot() {
  if (has_slot_) {
    shared_->requests.fetch_sub(1);
    shared_->metrics->inflight().Add(-1);
  }
  has_slot_ = false;
}

void Session::Close() {
  phase_ = Phase::kClosed;
  error_code ignored;
  socket_.close(ignored);
}

void Session::CloseIfIdle() {
  error_code ec;
  const bool quiet = buffer_.empty() && socket_.available(ec) == 0;
  if (phase_ == Phase::kLingering || (phase_ == Phase::kIdle && quiet)) Close();
}

void Session::CheckDeadline(int64_t now_ms) {
  if (phase_ == Phase::kWorking || phase_ == Phase::kClosed) return;
  const int64_t in_phase_ms = now_ms - phase_started_ms_;
  // A stream may have hours to go; who does not even take a piece keeps the server from ending.
  const bool holds_up = phase_ == Phase::kWriting && response_.next_piece != nullptr &&
                        in_phase_ms > kDrainMs && shared_->draining.load();
  if (holds_up) return Close();
  const bool crawls = (phase_ == Phase::kBody || phase_ == Phase::kWriting) &&
                      in_phase_ms > kRateGraceMs &&
                      phase_bytes_ < in_phase_ms / 1000 * kRateBytesPerSecond;
  if (now_ms < deadline_ms_ && !crawls) return;
  if (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
    timed_out_ = true;
    error_code ignored;
    socket_.cancel(ignored);  // OnRead answers 408
  } else {
    Close();
  }
}

void EventLoop::Run() {
  while (true) {
    try {
      io.run();
      return;
    } catch (const std::exception&) {
      // Out of memory in the middle of a connection: that one is gone, the others go on.
    }
  }
}

void EventLoop::Sweep() {
  const int64_t now_ms = NowMs();
  const std::vector<Session*> all(sessions.begin(), sessions.end());
  for (Session* session : all) session->CheckDeadline(now_ms);
  timer.expires_after(std::chrono::milliseconds(kSweepMs));
  timer.async_wait([this](const error_code& ec) {
    if (!ec) Sweep();
  });
}

IoThread::IoThread(ServerShared* shared) : loop_(std::make_unique<EventLoop>(shared)) {
  loop_->Sweep();
  loop_->thread = std::thread([loop = loop_.get()] { loop->Run(); });
}

IoThread::~IoThread() { Stop(); }

void IoThread::Adopt(int socket) {
  asio::post(loop_->io,
             [loop = loop_.get(), socket] { std::make_shared<Session>(loop, socket)->Run(); });
}

void IoThread::CloseIdle() {
  asio::post(loop_->io, [loop = loop_.get()] {
    const std::vector<Session*> all(loop->sessions.begin(), loop->sessions.end());
    for (Session* session : all) session->CloseIfIdle();
  });
}

void IoThread::Stop() {
  loop_->io.stop();
  if (loop_->thread.joinable()) loop_->thread.join();
}

}  // namespace fletching::http
