#include "server/remote_setup.h"

#include <atomic>
#include <utility>

#include "fletching/engine.h"

#include "api/json_text.h"
#include "base/metric_names.h"
#include "base/metrics.h"
#include "remote/claim.h"
#include "remote/follower.h"
#include "remote/publisher.h"
#include "remote/segment_cache.h"
#include "store/object_store.h"

namespace fletching::server {
namespace {

// What the engine's gate asks is only there once the engine is.
class Gate final : public WriteGate {
 public:
  explicit Gate(const RemoteConfig& config) : config_(config) {}

  Status BeforeChange() override {
    if (config_.role == RemoteRole::kReplica) {
      return InvalidArgument("this node is a replica of " + config_.url +
                             " and takes no writes; write to its writer");
    }
    const remote::Publisher* publisher = publisher_.load();
    return publisher == nullptr ? Status::OK() : publisher->CheckOurs();
  }
  Status AfterCommit(std::string_view table, uint64_t version) override {
    remote::Publisher* publisher = publisher_.load();
    if (publisher == nullptr) return Status::OK();
    publisher->NoteCommit();
    if (config_.acknowledge == Acknowledge::kLocal) return Status::OK();
    return publisher->WaitFor(std::string(table), version, config_.acknowledge_ms_max);
  }
  void Join(remote::Publisher* publisher) { publisher_.store(publisher); }

 private:
  const RemoteConfig config_;
  std::atomic<remote::Publisher*> publisher_{nullptr};
};

Result<std::unique_ptr<store::ObjectStore>> OpenStore(const RemoteConfig& config) {
  store::ObjectStoreOptions options;
  options.endpoint = config.endpoint;
  options.region = config.region;
  return store::ObjectStore::Open(config.url, options);
}

}  // namespace

class RemoteSetup::Impl {
 public:
  Impl(const ServerConfig& config, Metrics* metrics, Log* log)
      : config_(config.remote),
        data_dir_(config.data_dir),
        metrics_(metrics),
        log_(log),
        gate_(config.remote) {}

  Status Open() {
    if (config_.url.empty()) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(store_, OpenStore(config_));
    const bool has_cache = config_.lazy || config_.cache_bytes > 0;
    if (!is_replica() && has_cache) {
      return InvalidArgument("remote.cache and remote.lazy are for replicas (remote.role replica)");
    }
    if (!is_replica()) return Status::OK();
    if (has_cache) {
      const remote::CacheOptions options{config_.cache_bytes, config_.lazy};
      cache_ = std::make_unique<remote::SegmentCache>(store_.get(), options, metrics_);
    }
    return remote::PrepareFolder(data_dir_, store_->url());
  }

  void Prepare(EngineOptions* options) {
    if (store_ == nullptr) return;
    options->write_gate = &gate_;
    if (is_replica()) {
      options->mode = OpenMode::kReadOnly;
      options->follow_interval_ms = 0;  // the follower of the remote tells when
    }
    options->segment_opener = cache_.get();
  }

  Status Start(Engine* engine) {
    if (store_ == nullptr) return Status::OK();
    if (is_replica()) {
      ARROW_ASSIGN_OR_RAISE(follower_,
                            remote::Follower::Start(engine, store_.get(),
                                                    {.data_dir = data_dir_,
                                                     .poll_interval_ms = config_.poll_interval_ms,
                                                     .cache = cache_.get(),
                                                     .on_event = [this](const auto& event) {
                                                       Tell("followed", "follow_failed", event);
                                                     }}));
      if (cache_ == nullptr) return Status::OK();
      metrics_->AddSource([this](MetricReadings* out) {
        out->Add(metric::kCacheBytes, {}, static_cast<double>(follower_->status().cache_bytes));
      });
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(publisher_,
                          remote::Publisher::Start(engine, store_.get(),
                                                   {.data_dir = data_dir_,
                                                    .interval_ms = config_.publish_interval_ms,
                                                    .keep_deleted_ms = config_.keep_deleted_ms,
                                                    .on_event = [this](const auto& event) {
                                                      Tell("published", "publish_failed", event);
                                                    }}));
    gate_.Join(publisher_.get());
    metrics_->AddSource([this](MetricReadings* out) {
      const double lag_ms = static_cast<double>(publisher_->status().lag_ms);
      out->Add(metric::kUploadLag, {}, lag_ms / 1000);
    });
    return Status::OK();
  }

  void EndFetches() {
    if (cache_ != nullptr) cache_->Stop();
  }
  bool reads_may_wait() const { return cache_ != nullptr; }

  void Stop() {
    EndFetches();
    gate_.Join(nullptr);
    follower_.reset();
    publisher_.reset();
  }

  std::string WhyNotReady() const {
    if (follower_ == nullptr) return "";
    const remote::FollowerStatus status = follower_->status();
    if (status.sequence > 0) return "";
    return "nothing has been fetched from " + store_->url() + " yet" +
           (status.problem.empty() ? "" : ": " + status.problem);
  }

  std::vector<std::string> Problems() const {
    std::string problem;
    if (follower_ != nullptr) problem = follower_->status().problem;
    if (publisher_ != nullptr) problem = publisher_->status().problem;
    if (problem.empty()) return {};
    return {problem};
  }

 private:
  bool is_replica() const { return config_.role == RemoteRole::kReplica; }

  void Tell(std::string_view done, std::string_view failed,
            const remote::RemoteEvent& event) const {
    log_->Write(event.is_error ? LogLevel::kError : LogLevel::kInfo, event.is_error ? failed : done,
                {{"sequence", static_cast<int64_t>(event.sequence)},
                 {"bytes", event.moved_bytes},
                 {"millis", event.millis},
                 {"text", event.text}});
  }

  const RemoteConfig config_;
  const std::string data_dir_;
  Metrics* const metrics_;
  Log* const log_;
  Gate gate_;
  std::unique_ptr<store::ObjectStore> store_;
  std::unique_ptr<remote::SegmentCache> cache_;
  std::unique_ptr<remote::Publisher> publisher_;
  std::unique_ptr<remote::Follower> follower_;
};

RemoteSetup::RemoteSetup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RemoteSetup::~RemoteSetup() = default;

Result<std::unique_ptr<RemoteSetup>> RemoteSetup::Make(const ServerConfig& config, Metrics* metrics,
                                                       Log* log) {
  auto impl = std::make_unique<Impl>(config, metrics, log);
  ARROW_RETURN_NOT_OK(impl->Open());
  return std::unique_ptr<RemoteSetup>(new RemoteSetup(std::move(impl)));
}

void RemoteSetup::Prepare(EngineOptions* options) { impl_->Prepare(options); }
Status RemoteSetup::Start(Engine* engine) { return impl_->Start(engine); }
void RemoteSetup::EndFetches() { impl_->EndFetches(); }
bool RemoteSetup::reads_may_wait() const { return impl_->reads_may_wait(); }
void RemoteSetup::Stop() { impl_->Stop(); }
std::string RemoteSetup::WhyNotReady() const { return impl_->WhyNotReady(); }
std::vector<std::string> RemoteSetup::Problems() const { return impl_->Problems(); }

Result<std::string> PromoteNode(const ServerConfig& config) {
  if (config.remote.url.empty()) return InvalidArgument("--promote needs --remote URL");
  ARROW_ASSIGN_OR_RAISE(const auto store, OpenStore(config.remote));
  ARROW_ASSIGN_OR_RAISE(const remote::ClaimReport report,
                        remote::Promote(store.get(), config.data_dir, {}));
  std::string text = "{\"event\":\"promoted\",\"remote\":";
  api::AppendJsonString(&text, store->url());
  text += ",\"sequence\":" + std::to_string(report.sequence) +
          ",\"tables\":" + std::to_string(report.table_count) +
          ",\"fetched_bytes\":" + std::to_string(report.fetched_bytes) + "}\n";
  return text;
}

}  // namespace fletching::server
