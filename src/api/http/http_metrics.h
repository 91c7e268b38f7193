// What the HTTP door counts: requests by route, method and status, their duration, those turned
// away. Cells are looked up once and kept, so that counting a request takes no lock.
//
// Threads: any. Lifetime: `metrics` outlives it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>

#include "api/door_stages.h"
#include "api/http/http_message.h"
#include "api/http/router.h"
#include "base/metrics.h"

namespace fletching::http {

// Statuses that have a kept cell; any other is looked up when it comes.
inline constexpr std::array<int, 21> kCountedStatuses = {200, 201, 204, 400, 404, 405, 408,
                                                         409, 413, 415, 422, 431, 499, 500,
                                                         501, 503, 504, 505, 507, 401, 403};

class HttpMetrics {
 public:
  explicit HttpMetrics(Metrics* metrics);

  // route: null for a request that matched none.
  void CountRequest(const Route* route, Method method, bool is_head, int status,
                    std::chrono::nanoseconds took);
  Metrics* metrics() const { return metrics_; }
  const api::DoorStages& stages() const { return stages_; }
  Gauge& inflight() const { return *inflight_; }
  Counter& rejected_requests() const { return *rejected_requests_; }
  Counter& rejected_connections() const { return *rejected_connections_; }

 private:
  // GET ... DELETE, HEAD, any other.
  static constexpr size_t kMethodCount = 7;
  struct RouteCells {
    std::atomic<DurationHistogram*> duration{nullptr};
    std::array<std::array<std::atomic<Counter*>, kCountedStatuses.size()>, kMethodCount> requests =
        {};
  };

  Metrics* const metrics_;
  const api::DoorStages stages_;
  const std::shared_ptr<Gauge> inflight_;
  const std::shared_ptr<Counter> rejected_requests_;
  const std::shared_ptr<Counter> rejected_connections_;
  std::unique_ptr<RouteCells[]> routes_;  // in the order of Routes(), then for no route
};

// Everything in `readings` in the text format 0.0.4 of Prometheus.
std::string RenderMetrics(const MetricReadings& readings);

}  // namespace fletching::http
