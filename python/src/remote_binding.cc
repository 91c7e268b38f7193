// A server as Python sees it: calls that run to their end here without the GIL, or step by step in
// an event loop of Python's.
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "fletching/request.h"

#include "api/ipc_answer.h"
#include "client/http_call.h"
#include "client/rows_body.h"
#include "client/rows_stream.h"
#include "python/src/arrow_bridge.h"
#include "python/src/errors.h"
#include "python/src/gil.h"
#include "python/src/interrupt.h"
#include "python/src/keys.h"
#include "python/src/row_stream.h"
#include "tls/tls_context.h"

namespace nb = nanobind;

namespace fletching::python {
namespace {

using client::CallRequest;
using client::HttpCall;

constexpr char kArrowType[] = "application/vnd.apache.arrow.stream";

// A function of Python's that is let go wherever the call ends, with or without the GIL.
struct Progress {
  explicit Progress(std::optional<nb::callable> function) : call(std::move(function)) {}
  ~Progress() {
    GilTaken acquired;
    call.reset();
  }
  std::optional<nb::callable> call;
};

std::shared_ptr<arrow::Buffer> CopyOf(const std::optional<nb::bytes>& bytes) {
  if (!bytes.has_value()) return nullptr;
  return arrow::Buffer::FromString(std::string(bytes->c_str(), bytes->size()));
}

// One call to a server. Used by one thread at a time.
class Call {
 public:
  Call(std::shared_ptr<client::ConnectionPool> pool, CallRequest request,
       std::shared_ptr<Interrupt> interrupt = std::make_shared<Interrupt>())
      : pool_(std::move(pool)),
        safe_to_repeat_(request.safe_to_repeat),
        call_(std::make_unique<HttpCall>(pool_, std::move(request))),
        interrupt_(std::move(interrupt)) {}

  void Run() {
    const Status status = [&] {
      GilReleased released;
      return client::RunCall(call_.get(), [this] { return interrupt_->Check(); });
    }();
    interrupt_->Raise();
    RaiseIfError(status);
  }

  // "done", "read" or "write": what the descriptor must be ready for before the next step.
  const char* Advance() {
    const auto wait = [&] {
      GilReleased released;
      return call_->Advance();
    }();
    interrupt_->Raise();
    switch (Unwrap(wait)) {
      case HttpCall::Wait::kRead:
        return "read";
      case HttpCall::Wait::kWrite:
        return "write";
      default:
        return "done";
    }
  }

  bool began() const { return call_->began(); }
  bool safe_to_repeat() const { return safe_to_repeat_; }
  void Restart() { call_->Restart(); }
  int descriptor() const { return call_->descriptor(); }
  double timeout_seconds() const { return static_cast<double>(call_->timeout_ms()) / 1000; }
  void RaiseTimedOut() const { Raise(call_->TimedOut()); }

  // The body, after raising what the server's engine raised.
  nb::bytes Text() {
    Check();
    const arrow::Buffer& body = *call_->reply().body;
    return nb::bytes(body.data(), static_cast<size_t>(body.size()));
  }

  std::pair<int64_t, uint64_t> Written() {
    Check();
    if (call_->reply().row_count < 0) {
      Raise(
          Unavailable(pool_->where() + " does not say how many rows it stored; is it fletchingd?"));
    }
    return {call_->reply().row_count, call_->reply().version};
  }

  // Of a scan, whose rows come as they are taken. Once.
  RowStream Rows() {
    Check();
    const auto interrupt = interrupt_;
    auto reader = [&] {
      GilReleased released;
      return client::OpenRows(std::move(call_), [interrupt] { return interrupt->Check(); });
    }();
    interrupt->Raise();
    return RowStream(Unwrap(std::move(reader)), [interrupt] { interrupt->Raise(); });
  }

  ReadResult Answer(int64_t key_count, bool hits_only) {
    Check();
    const client::CallReply& reply = call_->reply();
    if (reply.content_type != kArrowType) {
      Raise(
          Unavailable(pool_->where() + " answered " + reply.content_type + ", not " + kArrowType));
    }
    const auto result = [&] {
      GilReleased released;
      return client::ReadRows(reply.body, key_count, hits_only, reply.version);
    }();
    return Unwrap(result);
  }

  // Where the received body lies: (address, bytes). Arrays of an answer point into it.
  std::pair<uint64_t, int64_t> BodyRange() {
    const arrow::Buffer& body = *call_->reply().body;
    return {static_cast<uint64_t>(body.address()), body.size()};
  }

  void Check() { RaiseIfError(client::StatusOf(call_->reply(), pool_->where())); }

 private:
  std::shared_ptr<client::ConnectionPool> pool_;
  bool safe_to_repeat_;
  std::unique_ptr<HttpCall> call_;
  std::shared_ptr<Interrupt> interrupt_;
};

class Remote {
 public:
  Remote(const std::string& host, int port, int64_t connect_timeout_ms, int64_t timeout_ms,
         int idle_connections_max, const std::string& api_key,
         const std::optional<std::string>& tls_ca) {
    client::PoolOptions options;
    options.host = host;
    options.port = static_cast<uint16_t>(port);
    options.connect_timeout_ms = connect_timeout_ms;
    options.stall_timeout_ms = timeout_ms;
    options.idle_connections_max = static_cast<size_t>(idle_connections_max);
    options.api_key = api_key;
    if (tls_ca.has_value()) options.tls = Unwrap(tls::TlsContext::ForClient(*tls_ca));
    const auto pool = [&] {
      GilReleased released;
      return client::ConnectionPool::Make(options);
    }();
    pool_ = Unwrap(pool);
  }

  std::string where() const { return pool_->where(); }

  std::unique_ptr<Call> Start(const std::string& method, const std::string& target,
                              const std::optional<nb::bytes>& body, const std::string& content_type,
                              bool safe_to_repeat) {
    CallRequest request{.method = method, .target = target};
    request.content_type = content_type;
    request.body = CopyOf(body);
    request.safe_to_repeat = safe_to_repeat;
    return std::make_unique<Call>(pool_, std::move(request));
  }

  std::unique_ptr<Call> StartFetch(const std::string& target, std::vector<std::string> names,
                                   const nb::list& keys,
                                   std::optional<std::vector<std::string>> columns) {
    return StartKeys(target, {std::move(names), ImportKeys(keys), std::move(columns), {}}, true);
  }

  std::unique_ptr<Call> StartDelete(const std::string& target, std::vector<std::string> names,
                                    const nb::list& keys, std::optional<int64_t> event_time_us) {
    client::KeysBody body{std::move(names), ImportKeys(keys), std::vector<std::string>{}, {}};
    body.event_time_us = event_time_us;
    return StartKeys(target, body, false);
  }

  // The rows of `source` are taken as they are sent.
  std::unique_ptr<Call> StartWrite(const std::string& target, nb::handle source,
                                   std::optional<nb::callable> progress) {
    auto interrupt = std::make_shared<Interrupt>();
    auto on_rows = [interrupt,
                    progress = std::make_shared<Progress>(std::move(progress))](int64_t row_count) {
      return interrupt->Check("interrupted", [&] {
        if (progress->call.has_value()) (*progress->call)(row_count);
      });
    };
    auto pieces = std::make_shared<api::IpcStreamPieces>(
        client::InSlices(ImportStream(source), std::move(on_rows)));
    CallRequest request{.method = "PUT", .target = target, .content_type = kArrowType};
    request.next_piece = [pieces] { return pieces->Next(); };
    return std::make_unique<Call>(pool_, std::move(request), std::move(interrupt));
  }

  std::unique_ptr<Call> StartScan(const std::string& target) {
    CallRequest request{.target = target, .accept = kArrowType};
    request.safe_to_repeat = true;
    request.streamed_answer = true;
    return std::make_unique<Call>(pool_, std::move(request));
  }

  std::unique_ptr<Call> StartSql(const std::string& target, const nb::bytes& body) {
    CallRequest request{.method = "POST", .target = target, .content_type = "application/json"};
    request.accept = kArrowType;
    request.body = arrow::Buffer::FromString(std::string(body.c_str(), body.size()));
    request.safe_to_repeat = true;
    request.streamed_answer = true;
    return std::make_unique<Call>(pool_, std::move(request));
  }

 private:
  std::unique_ptr<Call> StartKeys(const std::string& target, const client::KeysBody& body,
                                  bool safe_to_repeat) {
    CallRequest request{.method = "POST", .target = target, .content_type = kArrowType};
    request.accept = kArrowType;
    request.body = Unwrap(client::WriteKeys(body));
    request.safe_to_repeat = safe_to_repeat;
    return std::make_unique<Call>(pool_, std::move(request));
  }

  std::shared_ptr<client::ConnectionPool> pool_;
};

}  // namespace

void BindRemote(nb::module_& module) {
  nb::class_<Call>(module, "Call", "A request to a server and its answer.")
      .def("run", &Call::Run, "Waits until it is done.")
      .def("advance", &Call::Advance,
           "Goes on without waiting. -> \"done\", or what to wait for: \"read\" or \"write\".")
      .def_prop_ro("began", &Call::began, "Whether a byte of the request has left.")
      .def_prop_ro("safe_to_repeat", &Call::safe_to_repeat)
      .def("restart", &Call::Restart, "After an error, if it had not begun: run it again.")
      .def_prop_ro("descriptor", &Call::descriptor)
      .def_prop_ro("timeout_seconds", &Call::timeout_seconds)
      .def("raise_timed_out", &Call::RaiseTimedOut)
      .def("text", &Call::Text)
      .def("written", &Call::Written, "-> (rows given, commit number)")
      .def("rows", &Call::Rows, "Of a scan; once.")
      .def("answer", &Call::Answer, nb::arg("key_count"), nb::arg("hits_only"))
      .def_prop_ro("body_range", &Call::BodyRange, "(address, bytes) of the received body.");
  nb::class_<Remote>(module, "Remote", "A server, and connections to it.")
      .def(nb::init<const std::string&, int, int64_t, int64_t, int, const std::string&,
                    const std::optional<std::string>&>(),
           nb::arg("host"), nb::arg("port"), nb::arg("connect_timeout_ms"), nb::arg("timeout_ms"),
           nb::arg("idle_connections_max"), nb::arg("api_key") = "", nb::arg("tls_ca") = nb::none(),
           "tls_ca: file of trusted certificates, \"\" for the system's; None for plain text.")
      .def_prop_ro("where", &Remote::where)
      .def("start", &Remote::Start, nb::arg("method"), nb::arg("target"),
           nb::arg("body") = nb::none(), nb::arg("content_type") = "",
           nb::arg("safe_to_repeat") = true)
      .def("start_fetch", &Remote::StartFetch, nb::arg("target"), nb::arg("names"), nb::arg("keys"),
           nb::arg("columns") = nb::none())
      .def("start_delete", &Remote::StartDelete, nb::arg("target"), nb::arg("names"),
           nb::arg("keys"), nb::arg("event_time_us") = nb::none())
      .def("start_write", &Remote::StartWrite, nb::arg("target"), nb::arg("source"),
           nb::arg("progress") = nb::none(),
           "progress: called now and then with the rows taken so far; may raise to end it.")
      .def("start_scan", &Remote::StartScan, nb::arg("target"))
      .def("start_sql", &Remote::StartSql, nb::arg("target"), nb::arg("body"));
  module.def(
      "read_table_info",
      [](const nb::bytes& json) {
        return Unwrap(client::ReadTableInfo(std::string(json.c_str(), json.size())));
      },
      nb::arg("json"));
}

}  // namespace fletching::python
