#include "api/http/http_server.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "api/http/listener.h"
#include "api/http/response_head.h"

namespace fletching::http {

struct HttpServer::Impl {
  void Accept();
  void TurnAway(int socket);

  std::unique_ptr<Metrics> own_metrics;  // when nobody gave us any
  std::unique_ptr<HttpMetrics> metrics;
  ServerShared shared;
  int64_t connections_max = 0;
  int listener = -1;
  int wake = -1;  // written to end Accept
  std::string address;
  std::unique_ptr<WorkerPool> workers;
  std::unique_ptr<WorkerPool> bulk;
  std::vector<std::unique_ptr<IoThread>> io_threads;
  std::thread acceptor;
};

namespace {

constexpr int kAcceptPauseMs = 100;  // when the process has no file descriptors left

int IoThreadCount(int wanted) {
  if (wanted > 0) return wanted;
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, 8);
}

int64_t NowSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool WaitUntilZero(const std::atomic<int64_t>& count, int64_t wait_ms) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (count.load() > 0) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace

void HttpServer::Impl::Accept() {
  size_t next = 0;
  while (true) {
    pollfd polled[2] = {{listener, POLLIN, 0}, {wake, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return;
    if (polled[1].revents != 0) return;
    if (polled[0].revents == 0) continue;
    const int socket = AcceptConnection(listener);
    if (socket < 0) {
      const bool out_of_files = errno == EMFILE || errno == ENFILE || errno == ENOBUFS;
      if (out_of_files) poll(&polled[1], 1, kAcceptPauseMs);
      continue;
    }
    if (shared.connections.fetch_add(1) >= connections_max) {
      shared.metrics->rejected_connections().Add();
      TurnAway(socket);
      continue;
    }
    io_threads[next++ % io_threads.size()]->Adopt(socket);
  }
}

// One attempt to say why, without waiting for the client to take it.
void HttpServer::Impl::TurnAway(int socket) {
  if (shared.tls != nullptr) {  // a handshake for that would cost what we do not have
    close(socket);
    shared.connections.fetch_sub(1);
    return;
  }
  const HttpResponse response =
      ErrorResponse(503, "too many connections are open; try again in a moment");
  std::string text;
  WriteResponseHead(&text, response, {.keep_alive = false, .now_seconds = NowSeconds()});
  text += response.text;
  (void)!write(socket, text.data(), text.size());
  shutdown(socket, SHUT_WR);
  // Closing with unread bytes would make the kernel take the answer back.
  char dropped[4096];
  for (int n = 0; n < 16 && read(socket, dropped, sizeof(dropped)) > 0; ++n) {
  }
  close(socket);
  shared.connections.fetch_sub(1);
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  Stop(0);
  if (impl_->wake >= 0) close(impl_->wake);
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(Engine* engine,
                                                      const HttpServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  ARROW_ASSIGN_OR_RAISE(Listener listener, Listen(options.host, options.port));
  impl->listener = listener.socket;
  impl->address = std::move(listener.address);
  impl->wake = eventfd(0, EFD_CLOEXEC);
  impl->connections_max = options.connections_max;
  Metrics* metrics = options.metrics;
  if (metrics == nullptr) {
    impl->own_metrics = std::make_unique<Metrics>();
    metrics = impl->own_metrics.get();
  }
  impl->metrics = std::make_unique<HttpMetrics>(metrics);
  ServerShared& shared = impl->shared;
  shared.metrics = impl->metrics.get();
  shared.routes = options.routes;
  shared.guard = options.guard;
  shared.tls = options.tls;
  shared.context = {.engine = engine,
                    .options = options.handlers,
                    .draining = &shared.draining,
                    .cancelled = &shared.cancelled,
                    .decode_budget = &shared.decode_budget,
                    .metrics = metrics,
                    .has_keys = options.guard != nullptr,
                    .guard = options.guard,
                    .stages = &impl->metrics->stages()};
  shared.limits = options.limits;
  if (options.reads_may_wait) shared.inline_bytes_max = 0;
  shared.spool.folder = options.spool_folder;
  shared.on_request = options.on_request;
  impl->workers = std::make_unique<WorkerPool>(options.worker_threads);
  impl->bulk = std::make_unique<WorkerPool>(options.bulk_threads);
  shared.workers = impl->workers.get();
  shared.bulk = impl->bulk.get();
  for (int i = 0; i < IoThreadCount(options.io_threads); ++i) {
    impl->io_threads.push_back(std::make_unique<IoThread>(&shared));
  }
  impl->acceptor = std::thread([raw = impl.get()] { raw->Accept(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

const std::string& HttpServer::address() const { return impl_->address; }

void HttpServer::BeginDrain() { impl_->shared.draining.store(true); }

bool HttpServer::Stop(int64_t grace_ms) {
  Impl& impl = *impl_;
  if (impl.listener < 0) return true;
  BeginDrain();
  const uint64_t one = 1;
  (void)!write(impl.wake, &one, sizeof(one));
  impl.acceptor.join();
  close(impl.listener);
  impl.listener = -1;
  const auto ask = [&] {
    for (auto& thread : impl.io_threads) thread->CloseIdle();
  };
  ask();
  bool clean = WaitUntilZero(impl.shared.requests, grace_ms);
  impl.shared.cancelled.store(true);
  // Long writes notice within a few thousand rows and answer 503.
  if (!clean) WaitUntilZero(impl.shared.requests, 500);
  ask();
  clean = WaitUntilZero(impl.shared.connections, 200) && clean;
  // Loops first: what workers still finish is then posted to nobody, instead of to half a server.
  for (auto& thread : impl.io_threads) thread->Stop();
  impl.workers->Stop();
  impl.bulk->Stop();
  impl.io_threads.clear();
  return clean;
}

}  // namespace fletching::http
