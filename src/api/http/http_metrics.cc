#include "api/http/http_metrics.h"

#include <algorithm>
#include <string>

#include "base/metric_names.h"

namespace fletching::http {
namespace {

constexpr std::string_view kNoRoute = "none";

constexpr std::array<std::string_view, 7> kMethodNames = {"GET",    "POST", "PUT",  "PATCH",
                                                          "DELETE", "HEAD", "other"};

size_t MethodIndex(Method method, bool is_head) {
  if (is_head) return 5;
  switch (method) {
    case Method::kGet:
      return 0;
    case Method::kPost:
      return 1;
    case Method::kPut:
      return 2;
    case Method::kPatch:
      return 3;
    case Method::kDelete:
      return 4;
    case Method::kOther:
      break;
  }
  return 6;
}

}  // namespace

HttpMetrics::HttpMetrics(Metrics* metrics)
    : metrics_(metrics),
      stages_(metrics, "http"),
      inflight_(metrics->Get(metric::kInflight)),
      rejected_requests_(metrics->Get(metric::kRejected, {"too_many_requests"})),
      rejected_connections_(metrics->Get(metric::kRejected, {"too_many_connections"})),
      routes_(std::make_unique<RouteCells[]>(Routes().size() + 1)) {}

// The registry keeps the cells of a door for good, so plain pointers to them are enough.
void HttpMetrics::CountRequest(const Route* route, Method method, bool is_head, int status,
                               std::chrono::nanoseconds took) {
  const std::string_view pattern = route != nullptr ? route->pattern : kNoRoute;
  const size_t row =
      route != nullptr ? static_cast<size_t>(route - Routes().data()) : Routes().size();
  RouteCells& cells = routes_[row];
  DurationHistogram* duration = cells.duration.load(std::memory_order_acquire);
  if (duration == nullptr) {
    duration = metrics_->Get(metric::kHttpDuration, {pattern}).get();
    cells.duration.store(duration, std::memory_order_release);
  }
  duration->Observe(took);

  const size_t method_index = MethodIndex(method, is_head);
  const auto get = [&] {
    return metrics_->Get(metric::kHttpRequests,
                         {pattern, kMethodNames[method_index], std::to_string(status)});
  };
  const auto found = std::find(kCountedStatuses.begin(), kCountedStatuses.end(), status);
  if (found == kCountedStatuses.end()) return get()->Add();
  auto& kept = cells.requests[method_index][static_cast<size_t>(found - kCountedStatuses.begin())];
  Counter* counter = kept.load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = get().get();
    kept.store(counter, std::memory_order_release);
  }
  counter->Add();
}

}  // namespace fletching::http
