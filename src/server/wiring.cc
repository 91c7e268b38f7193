#include "server/wiring.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <signal.h>
#include <stdlib.h>
#include <stop_token>
#include <string_view>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include "fletching/engine.h"
#include "fletching/options.h"

#include "api/flight/flight_server.h"
#include "api/http/http_server.h"
#include "api/http/listener.h"
#include "api/json_text.h"
#include "base/metric_names.h"
#include "base/metrics.h"
#include "pull/puller.h"
#include "pull/source.h"
#include "server/log.h"
#include "server/metric_sources.h"
#include "server/remote_setup.h"
#include "server/security.h"
#include "server/service_notify.h"

namespace fletching::server {
namespace {

constexpr int kShutdownSecondsMax = 5;

// Each connection is a file, and each table maps several; the default of 1,024 is soon too few.
void RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// For programs that start us: the addresses of what is open, on one line of stdout.
void AnnounceReady(const std::string& http, const std::string& flight, const std::string& metrics) {
  std::string line = "{\"event\":\"ready\",\"http\":";
  api::AppendJsonString(&line, http);
  if (!flight.empty()) {
    line += ",\"flight\":";
    api::AppendJsonString(&line, flight);
  }
  if (!metrics.empty()) {
    line += ",\"metrics\":";
    api::AppendJsonString(&line, metrics);
  }
  line += ",\"pid\":" + std::to_string(getpid()) + "}\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

void LogRequest(Log* log, bool all, const http::RequestEvent& event) {
  const bool failed = event.status >= 500 && event.status != 503;
  if (!all && !failed) return;
  log->Write(failed ? LogLevel::kError : LogLevel::kInfo, "request",
             {{"operation", event.operation_id},
              {"path", event.path.substr(0, 256)},
              {"status", int64_t{event.status}},
              {"micros", event.micros},
              {"request_bytes", event.request_bytes},
              {"response_bytes", event.response_bytes},
              {"error", event.error}});
}

void LogCall(Log* log, bool all, const flight::CallEvent& event) {
  if (!all && !event.failed) return;
  log->Write(event.failed ? LogLevel::kError : LogLevel::kInfo, "flight_call",
             {{"method", event.method},
              {"status", event.status},
              {"micros", event.micros},
              {"rows", event.rows},
              {"error", event.error}});
}

// gRPC says of a port that it cannot have no more than that.
Status CheckPortIsFree(const flight::FlightServerOptions& options) {
  if (options.port == 0) return Status::OK();
  auto tried = http::Listen(options.host, options.port);
  if (!tried.ok()) {
    return tried.status().WithMessage("Flight ", tried.status().message(),
                                      ". --flight off does without this door");
  }
  close(tried->socket);
  return Status::OK();
}

Result<std::unique_ptr<flight::FlightServer>> StartFlight(const ServerConfig& config,
                                                          Engine* engine, const Security& security,
                                                          Log* log) {
  flight::FlightServerOptions options = config.flight;
  options.guard = security.guard();
  ARROW_ASSIGN_OR_RAISE(options.tls, security.ReadTlsFiles());
  options.calls_max = config.http.limits.requests_max;
  options.keys_bytes_max = config.http.limits.keys_bytes_max;
  options.on_call = [log, all = config.log_requests](const flight::CallEvent& event) {
    LogCall(log, all, event);
  };
  ARROW_RETURN_NOT_OK(CheckPortIsFree(options));
  // What gRPC has to say is no JSON. Whoever looks for it sets the variable.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  return flight::FlightServer::Start(engine, options);
}

// Ends the process when shutting down takes too long or a second signal asks for it.
void WatchShutdown() {
  std::thread([] {
    using std::chrono::steady_clock;
    const sigset_t signals = EndSignals();
    const auto until = steady_clock::now() + std::chrono::seconds(kShutdownSecondsMax);
    const timespec step = {0, 100'000'000};
    // Debuggers and leak checkers interrupt the wait, which means nothing.
    while (steady_clock::now() < until && sigtimedwait(&signals, nullptr, &step) < 0) {
    }
    _exit(1);
  }).detach();
}

void LogPull(Log* log, const pull::PullEvent& event) {
  using Kind = pull::PullEvent::Kind;
  constexpr std::string_view kNames[] = {"table_loading", "table_loading", "table_loaded",
                                         "table_kept", "table_load_failed"};
  const LogLevel level = event.kind == Kind::kFailed ? LogLevel::kError
                         : event.kind == Kind::kKept ? LogLevel::kWarning
                                                     : LogLevel::kInfo;
  log->Write(level, kNames[static_cast<size_t>(event.kind)],
             {{"table", event.table},
              {"generation", event.generation},
              {"rows", event.row_count},
              {"millis", event.millis},
              {"reason", event.reason},
              {"text", event.text}});
}

Result<std::unique_ptr<pull::Puller>> StartPuller(Engine* engine, const ServerConfig& config,
                                                  Log* log, Metrics* metrics) {
  if (config.remote.role == RemoteRole::kReplica && !config.tables.empty()) {
    return InvalidArgument("a replica loads no tables by itself; its writer does");
  }
  // Shown as 0 from the start, so that the first failure is an increase.
  for (const pull::PulledTable& table : config.tables) {
    for (const std::string_view reason : pull::kFailureReasons) {
      metrics->Get(metric::kLoadFailures, {table.name, reason});
    }
  }
  return pull::Puller::Start(
      engine, config.tables,
      {.spool_folder = config.data_dir, .on_event = [log, metrics](const pull::PullEvent& event) {
         LogPull(log, event);
         if (event.kind != pull::PullEvent::Kind::kFailed) return;
         metrics->Get(metric::kLoadFailures, {event.table, event.reason})->Add();
       }});
}

std::string WhyNotReady(const pull::Puller& puller) {
  for (const pull::PullStatus& table : puller.Statuses()) {
    if (!table.generation.empty()) continue;
    return "table '" + table.table + "' is not loaded yet" +
           (table.problem.empty() ? "" : ": " + table.problem);
  }
  return "";
}

std::vector<std::string> Problems(const pull::Puller& puller) {
  std::vector<std::string> problems;
  for (const pull::PullStatus& table : puller.Statuses()) {
    if (table.problem.empty()) continue;
    problems.push_back("table '" + table.table + "': " + table.problem);
  }
  return problems;
}

void WaitForSignal(Security* security, Log* log) {
  sigset_t signals = EndSignals();
  sigaddset(&signals, SIGHUP);
  int number = 0;
  while (sigwait(&signals, &number) != 0 || (number == SIGHUP && security->Reload())) {
  }
  log->Write(LogLevel::kInfo, "signal", {{"signal", std::string_view(strsignal(number))}});
}

// Its own threads, so that a server that is busy can still be looked at. Null when not wanted.
Result<std::unique_ptr<http::HttpServer>> StartMetricsServer(const ServerConfig& config,
                                                             const Security& security,
                                                             Metrics* metrics) {
  if (config.metrics.host.empty()) return nullptr;
  http::HttpServerOptions options;
  options.host = config.metrics.host;
  options.port = config.metrics.port;
  options.io_threads = 1;
  options.worker_threads = 1;
  options.bulk_threads = 1;
  options.connections_max = 64;
  options.routes = http::MetricsRoutes();
  // On the loopback they are for everybody.
  if (IsReachable(options.host)) {
    options.guard = security.guard();
    options.tls = security.tls();
  }
  options.metrics = metrics;
  return http::HttpServer::Start(nullptr, options);
}

void WindDown(const ServerConfig& config, http::HttpServer* server, flight::FlightServer* flight,
              RemoteSetup* remote, Log* log) {
  WatchShutdown();
  server->BeginDrain();
  // Balancers see readiness fail while everything is still answered.
  std::this_thread::sleep_for(std::chrono::milliseconds(config.shutdown_notice_ms));
  // A thread that waits for a store that hangs cannot be cut.
  std::jthread patience([&config, remote](const std::stop_token& done) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    const auto grace = std::chrono::milliseconds(config.shutdown_grace_ms);
    wake.wait_for(lock, done, grace, [&] { return done.stop_requested(); });
    remote->EndFetches();
  });
  bool flight_clean = true;
  std::thread other([&] {
    if (flight != nullptr) flight_clean = flight->Stop(config.shutdown_grace_ms);
  });
  const bool http_clean = server->Stop(config.shutdown_grace_ms);
  other.join();
  if (!http_clean || !flight_clean) log->Write(LogLevel::kWarning, "connections_cut");
}

std::unique_ptr<sql::SqlDoor> OpenSql(const Engine* engine, const ServerConfig& config) {
  if (config.sql.queries_max == 0) return nullptr;
  sql::SqlOptions options = config.sql;
  options.duck.spill_folder = config.data_dir + "/sql.spill";
  std::error_code ignored;
  std::filesystem::remove_all(options.duck.spill_folder, ignored);  // of a server that was killed
  return std::make_unique<sql::SqlDoor>(engine, options);
}

class RemoteStop {
 public:
  explicit RemoteStop(RemoteSetup* remote) : remote_(remote) {}
  ~RemoteStop() { remote_->Stop(); }
  RemoteStop(const RemoteStop&) = delete;
  RemoteStop& operator=(const RemoteStop&) = delete;

 private:
  RemoteSetup* const remote_;
};

}  // namespace

Status Serve(const LoadedConfig& loaded) {
  const ServerConfig& config = loaded.config;
  RaiseFileLimit();
  Log log(config.log_level);
  for (const std::string& warning : loaded.warnings) {
    log.Write(LogLevel::kWarning, "configuration", {{"text", warning}});
  }
  Metrics metrics;
  ARROW_ASSIGN_OR_RAISE(const auto security, Security::Open(config, &metrics, &log));
  EngineOptions options;
  options.metrics = &metrics;
  options.data_dir = config.data_dir;
  options.memory_budget_bytes = config.memory_budget_bytes;
  options.mode = OpenMode::kWrite;
  ARROW_ASSIGN_OR_RAISE(const auto remote, RemoteSetup::Make(config, &metrics, &log));
  remote->Prepare(&options);
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Engine> engine, Engine::Open(options));
  const RemoteStop stop_remote(remote.get());  // before the engine goes, whatever happens below
  for (const TableInfo& table : engine->ListTables()) {
    if (table.health.ok()) continue;
    log.Write(LogLevel::kError, "table_damaged",
              {{"table", table.name}, {"text", table.health.message()}});
  }
  AddMetricSources(engine.get(), config.data_dir, &metrics);
  ARROW_RETURN_NOT_OK(remote->Start(engine.get()));
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<pull::Puller> puller,
                        StartPuller(engine.get(), config, &log, &metrics));
  http::HttpServerOptions http = config.http;
  http.metrics = &metrics;
  http.guard = security->guard();
  http.tls = security->tls();
  http.spool_folder = config.data_dir;
  http.reads_may_wait = remote->reads_may_wait() || config.memory_budget_bytes > 0;
  const std::unique_ptr<sql::SqlDoor> sql = OpenSql(engine.get(), config);
  http.handlers.sql = sql.get();
  http.handlers.not_ready = [puller = puller.get(), remote = remote.get()] {
    const std::string why = remote->WhyNotReady();
    return why.empty() ? WhyNotReady(*puller) : why;
  };
  http.handlers.problems = [puller = puller.get(), remote = remote.get()] {
    std::vector<std::string> problems = remote->Problems();
    for (std::string& problem : Problems(*puller)) problems.push_back(std::move(problem));
    return problems;
  };
  http.on_request = [&log, all = config.log_requests](const http::RequestEvent& event) {
    LogRequest(&log, all, event);
  };
  ARROW_ASSIGN_OR_RAISE(const auto server, http::HttpServer::Start(engine.get(), http));
  ARROW_ASSIGN_OR_RAISE(const auto metrics_server, StartMetricsServer(config, *security, &metrics));
  std::unique_ptr<flight::FlightServer> flight;
  if (config.flight_on) {
    ARROW_ASSIGN_OR_RAISE(flight, StartFlight(config, engine.get(), *security, &log));
  }
  const std::string flight_address = flight == nullptr ? "" : flight->address();
  const std::string metrics_address = metrics_server == nullptr ? "" : metrics_server->address();
  log.Write(LogLevel::kInfo, "listening",
            {{"http", server->address()},
             {"flight", flight_address},
             {"metrics", metrics_address},
             {"data_dir", config.data_dir}});
  AnnounceReady(server->address(), flight_address, metrics_address);
  NotifyService("READY=1");
  WaitForSignal(security.get(), &log);
  NotifyService("STOPPING=1");
  WindDown(config, server.get(), flight.get(), remote.get(), &log);
  if (metrics_server != nullptr) metrics_server->Stop(0);
  puller.reset();
  remote->Stop();
  pull::CloseSources();
  const Status closed = engine->Close();
  log.Write(closed.ok() ? LogLevel::kInfo : LogLevel::kError, "stopped",
            {{"text", closed.ok() ? std::string_view() : std::string_view(closed.message())}});
  return closed;
}

}  // namespace fletching::server
