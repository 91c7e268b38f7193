#include "api/flight/flight_server.h"

#include <chrono>
#include <thread>
#include <utility>

#include "arrow/flight/server.h"
#include "arrow/flight/server_middleware.h"  // complete, for the gate

#include "api/flight/call_gate.h"
#include "api/flight/service.h"

namespace fletching::flight {
namespace {

constexpr auto kCutMs = std::chrono::milliseconds(100);

}  // namespace

struct FlightServer::Impl {
  ServiceState state;
  std::unique_ptr<arrow::flight::FlightServerBase> service;
  std::string address;
  bool running = false;
};

FlightServer::FlightServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

FlightServer::~FlightServer() { Stop(0); }

Result<std::unique_ptr<FlightServer>> FlightServer::Start(Engine* engine,
                                                          const FlightServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->state.engine = engine;
  impl->state.options = options;
  impl->state.stream_limits = {options.batch_bytes_max, &impl->state.decode_budget};
  if (!StreamGuardIsLinked()) {
    return MakeError(ErrorCode::kInternal, "Arrow Flight would decode streams without limits here");
  }
  const bool six = options.host.find(':') != std::string::npos;
  const std::string host = six ? "[" + options.host + "]" : options.host;
  const bool tls = !options.tls.certificate.empty();
  auto location = tls ? arrow::flight::Location::ForGrpcTls(host, options.port)
                      : arrow::flight::Location::ForGrpcTcp(host, options.port);
  if (!location.ok()) {
    return InvalidArgument("'" + options.host +
                           "' is no address to listen on: " + location.status().message());
  }
  arrow::flight::FlightServerOptions settings(*location);
  if (tls) settings.tls_certificates.push_back({options.tls.certificate, options.tls.key});
  settings.middleware.emplace_back(kGateName, MakeGate(&impl->state));
  impl->service = MakeService(&impl->state);
  if (const Status status = impl->service->Init(settings); !status.ok()) {
    return Unavailable("cannot listen on " + host + ":" + std::to_string(options.port) + ": " +
                       status.message());
  }
  impl->running = true;
  impl->address = host + ":" + std::to_string(impl->service->port());
  return std::unique_ptr<FlightServer>(new FlightServer(std::move(impl)));
}

const std::string& FlightServer::address() const { return impl_->address; }

int64_t FlightServer::call_count() const { return impl_->state.calls.load(); }

bool FlightServer::Stop(int64_t grace_ms) {
  using std::chrono::steady_clock;
  if (!std::exchange(impl_->running, false)) return true;
  ServiceState& state = impl_->state;
  state.stopping.store(true);
  const auto under_way = [&] { return state.calls.load() > state.waiting.load(); };
  const auto until = steady_clock::now() + std::chrono::milliseconds(grace_ms);
  while (under_way() && steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const bool clean = !under_way();
  state.cancelled.store(true);
  // What is left is cancelled then: its reads end, and it comes back.
  const auto deadline = std::chrono::system_clock::now() + kCutMs;
  return impl_->service->Shutdown(&deadline).ok() && clean;
}

}  // namespace fletching::flight
