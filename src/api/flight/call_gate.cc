#include "api/flight/call_gate.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "arrow/flight/server.h"
#include "arrow/flight/server_middleware.h"

#include "api/flight/service.h"

namespace fletching::flight {
namespace {

using access::Need;

constexpr auto kNeeds = std::to_array<std::pair<std::string_view, Need>>({
    {"ListFlights", Need::kAnyKey},
    {"GetFlightInfo", Need::kRead},
    {"GetSchema", Need::kRead},
    {"DoGet", Need::kRead},
    {"DoExchange", Need::kRead},
    {"DoPut", Need::kWrite},
});

// As over HTTP, under the same names.
std::optional<std::string_view> SecretOf(const arrow::flight::CallHeaders& headers) {
  const auto authorization = headers.find("authorization");
  if (authorization != headers.end()) {
    if (const auto secret = access::BearerOf(authorization->second)) return secret;
  }
  const auto api_key = headers.find("x-api-key");
  if (api_key != headers.end() && !api_key->second.empty()) return api_key->second;
  return std::nullopt;
}

// Counts a call while it lasts, its answer included.
class CountedCall final : public arrow::flight::ServerMiddleware {
 public:
  explicit CountedCall(ServiceState* state) : state_(state) {}
  ~CountedCall() override {
    GuardStreamsOfThisThread(nullptr);
    state_->calls.fetch_sub(1);
  }
  CountedCall(const CountedCall&) = delete;
  CountedCall& operator=(const CountedCall&) = delete;

  std::string name() const override { return "fletching"; }
  void SendingHeaders(arrow::flight::AddCallHeaders*) override {}
  void CallCompleted(const Status&) override {}

  access::Caller caller;

 private:
  ServiceState* const state_;
};

// Lets calls in, or says why not.
class Gate final : public arrow::flight::ServerMiddlewareFactory {
 public:
  explicit Gate(ServiceState* state) : state_(state) {}

  Status StartCall(const arrow::flight::CallInfo&, const arrow::flight::ServerCallContext& context,
                   std::shared_ptr<arrow::flight::ServerMiddleware>* middleware) override {
    const int64_t before = state_->calls.fetch_add(1);
    auto counted = std::make_shared<CountedCall>(state_);
    Status refused;
    if (state_->stopping.load()) refused = Unavailable("the server is shutting down");
    if (before >= state_->options.calls_max) {
      refused = Busy("too many calls are in flight; try again in a moment");
    }
    const access::Guard* guard = state_->options.guard;
    if (refused.ok() && guard != nullptr) {
      refused = guard->Identify(SecretOf(context.incoming_headers())).Value(&counted->caller);
    }
    if (!refused.ok()) {
      context.AddTrailer("fletching-error", std::string(CodeName(CodeOf(refused))));
      return ToFlightStatus(refused);
    }
    // The thread of the call from its first byte to its last.
    GuardStreamsOfThisThread(&state_->stream_limits);
    *middleware = std::move(counted);
    return Status::OK();
  }

 private:
  ServiceState* const state_;
};

}  // namespace

std::shared_ptr<arrow::flight::ServerMiddlewareFactory> MakeGate(ServiceState* state) {
  return std::make_shared<Gate>(state);
}

Need NeedOf(std::string_view method) {
  for (const auto& [name, need] : kNeeds) {
    if (name == method) return need;
  }
  return Need::kUnset;
}

const access::Caller& CallerOf(const arrow::flight::ServerCallContext& context) {
  return static_cast<const CountedCall*>(context.GetMiddleware(kGateName))->caller;
}

}  // namespace fletching::flight
