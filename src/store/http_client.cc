#include "store/http_client.h"

#include <algorithm>
#include <utility>

#include "store/curl_library.h"
#include "store/http_run.h"

namespace fletching::store {
namespace {

constexpr size_t kIdleSetsMax = 16;  // calls at once whose connections outlive them

}  // namespace

std::string_view HttpReply::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

Result<std::unique_ptr<HttpClient>> HttpClient::Make(HttpClientOptions options) {
  ARROW_ASSIGN_OR_RAISE(const CurlLibrary* const curl, LoadCurl());
  return std::unique_ptr<HttpClient>(new HttpClient(curl, std::move(options)));
}

HttpClient::HttpClient(const CurlLibrary* curl, HttpClientOptions options)
    : curl_(curl),
      options_(std::move(options)),
      random_(options_.random_seed != 0 ? options_.random_seed : std::random_device{}()) {}

HttpClient::~HttpClient() {
  for (void* connections : idle_connections_) curl_->multi_cleanup(connections);
}

Result<void*> HttpClient::BorrowConnections() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_connections_.empty()) {
      void* const connections = idle_connections_.back();
      idle_connections_.pop_back();
      return connections;
    }
  }
  CURLM* const made = curl_->multi_init();
  if (made == nullptr) return Unavailable("libcurl has no memory for another set of connections");
  curl_->multi_setopt(made, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections_max));
  return made;
}

void HttpClient::GiveBackConnections(void* connections) {
  {
    const std::lock_guard lock(mutex_);
    if (idle_connections_.size() < kIdleSetsMax) {
      idle_connections_.push_back(connections);
      return;
    }
  }
  curl_->multi_cleanup(connections);
}

// Half of it is random, so that many clients that failed together do not come back together.
int64_t HttpClient::BackoffMs(int attempt) {
  const int doublings = std::min(attempt - 1, 20);
  const int64_t full = std::min(int64_t{options_.backoff_max_ms},
                                int64_t{options_.backoff_first_ms} * (int64_t{1} << doublings));
  const std::lock_guard lock(mutex_);
  return full / 2 + std::uniform_int_distribution<int64_t>(0, (full + 1) / 2)(random_);
}

Status HttpClient::Run(const std::function<Result<std::unique_ptr<HttpTask>>()>& next_task,
                       const RunLimits& limits) {
  ARROW_ASSIGN_OR_RAISE(void* const connections, BorrowConnections());
  Status status;
  {
    HttpRun run(this, connections, next_task, limits);
    status = run.Run();
  }
  GiveBackConnections(connections);
  return status;
}

Status HttpClient::RunOne(std::unique_ptr<HttpTask> task, const RunLimits& limits) {
  return Run([&task]() -> Result<std::unique_ptr<HttpTask>> { return std::move(task); }, limits);
}

}  // namespace fletching::store
