#include "remote/follower.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "fletching/engine.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ignore_error.h"
#include "format/file_names.h"
#include "io/file.h"
#include "remote/folder_sync.h"
#include "remote/remote_files.h"
#include "remote/root_object.h"

namespace fletching::remote {
namespace {

using std::chrono::steady_clock;

io::FileSystem* Disk() { return io::PosixFileSystem(); }

// Between two times of making room, each of which opens tables anew.
constexpr auto kBalancePause = std::chrono::milliseconds(50);

// After so long a store that does not answer is a problem to be told.
constexpr int64_t kHeadMs = 5'000;

}  // namespace

Status PrepareFolder(const std::string& data_dir, const std::string& url) {
  ARROW_ASSIGN_OR_RAISE(const RemoteIdentity identity, ReadIdentity(data_dir));
  if (!identity.url.empty() && identity.url != url) {
    return InvalidArgument("the data folder follows " + identity.url + ", not " + url +
                           "; give another folder");
  }
  if (!identity.writer_id.empty()) {
    return InvalidArgument("the data folder is that of a writer of " + url +
                           "; a replica wants a folder of its own, which may be empty");
  }
  if (identity.url.empty()) {
    ARROW_ASSIGN_OR_RAISE(const auto ids, TableIds(data_dir));
    if (!ids.empty()) {
      return InvalidArgument("the data folder " + data_dir +
                             " has tables of its own; a replica wants an empty one");
    }
    ARROW_RETURN_NOT_OK(WriteIdentity(data_dir, {url, "", 0}));
  }
  return Disk()->MakeFolder(format::TablesFolder(data_dir));
}

class Follower::Impl {
 public:
  Impl(Engine* engine, store::ObjectStore* store, FollowerOptions options)
      : engine_(engine),
        store_(store),
        options_(std::move(options)),
        sync_(store, options_.data_dir, options_.cache) {}

  ~Impl() {
    if (options_.cache != nullptr) options_.cache->SetWaker({});
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    stop_.request_stop();
    wake_.notify_all();
    thread_.join();
  }

  Status Open() {
    ARROW_ASSIGN_OR_RAISE(lock_, Disk()->Lock(format::LockFile(options_.data_dir)));
    if (options_.cache != nullptr) options_.cache->SetWaker([this] { Wake(); });
    thread_ = std::thread([this] { Run(); });
    return Status::OK();
  }

  FollowerStatus status() const {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void Run() {
    while (true) {
      Look();
      const auto next_look =
          steady_clock::now() + std::chrono::milliseconds(options_.poll_interval_ms);
      std::unique_lock lock(mutex_);
      const auto is_wanted = [this] { return is_stopping_ || is_cache_growing_; };
      while (wake_.wait_until(lock, next_look, is_wanted) && !is_stopping_) {
        lock.unlock();
        RemoteEvent unsaid;  // what goes wrong goes wrong again at the next look, and is told then
        IgnoreError(Balance(&unsaid, {.stop = stop_.get_token()}));
        lock.lock();
        wake_.wait_for(lock, kBalancePause, [this] { return is_stopping_; });
        is_cache_growing_ = false;
      }
      if (is_stopping_) return;
    }
  }

  void Wake() {
    const std::lock_guard lock(mutex_);
    is_cache_growing_ = true;
    wake_.notify_all();
  }

  void Look() {
    const auto start = steady_clock::now();
    RemoteEvent event;
    bool is_new = false;
    const Status status = LookOnce(&event, &is_new);
    event.millis = MillisSince(start);
    bool tell = is_new;
    {
      const std::lock_guard lock(mutex_);
      if (is_stopping_) return;
      const std::string problem = status.ok() ? "" : status.message();
      tell = tell || problem != status_.problem;
      status_.problem = problem;
      event.is_error = !status.ok();
      event.text = problem;
      event.sequence = status_.sequence;
    }
    if (tell && options_.on_event) options_.on_event(event);
  }

  Status LookOnce(RemoteEvent* event, bool* is_new) {
    const store::CallOptions call{.stop = stop_.get_token()};
    // Room is made also when the remote is away.
    const Status balanced = etag_.empty() ? Status::OK() : Balance(event, call);
    if (!etag_.empty()) {
      const auto head = store_->Head(kRootKey, {.deadline_ms = kHeadMs, .stop = call.stop});
      ARROW_RETURN_NOT_OK(head.status());
      if (head->etag == etag_) return balanced;
    }
    for (int tries = 0;; ++tries) {
      ARROW_ASSIGN_OR_RAISE(const auto found, ReadRoot(store_, call));
      if (!found.has_value()) {
        return MakeError(ErrorCode::kNotFound, store_->url() +
                                                   " has no root yet; has its writer "
                                                   "published anything?");
      }
      const int64_t before = sync_.fetched_bytes();
      const Status applied = sync_.Apply(found->root, call);
      event->moved_bytes += sync_.fetched_bytes() - before;
      // An object that is gone belongs to a root that is not the newest any more.
      if (!applied.ok() && CodeOf(applied) == ErrorCode::kNotFound && tries == 0) continue;
      ARROW_RETURN_NOT_OK(applied);
      ARROW_RETURN_NOT_OK(engine_->Refresh());
      sync_.CleanUp();
      etag_ = found->etag;
      *is_new = true;
      const std::lock_guard lock(mutex_);
      status_.sequence = found->root.sequence;
      return Status::OK();
    }
  }

  Status Balance(RemoteEvent* event, const store::CallOptions& call) {
    const int64_t before = sync_.fetched_bytes();
    const auto changed = sync_.Balance(call);
    event->moved_bytes += sync_.fetched_bytes() - before;
    {
      const std::lock_guard lock(mutex_);
      status_.cache_bytes = sync_.cache_bytes();
    }
    ARROW_RETURN_NOT_OK(changed.status());
    is_unshown_ = is_unshown_ || *changed;
    if (!is_unshown_) return Status::OK();
    ARROW_RETURN_NOT_OK(engine_->Refresh());
    is_unshown_ = false;
    sync_.CleanUp();
    return Status::OK();
  }

  Engine* const engine_;
  store::ObjectStore* const store_;
  const FollowerOptions options_;
  std::unique_ptr<io::FolderLock> lock_;
  std::stop_source stop_;
  FolderSync sync_;          // of the thread
  std::string etag_;         // likewise: of the root that is shown
  bool is_unshown_ = false;  // likewise: manifests were written that a Refresh did not show

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
  bool is_cache_growing_ = false;
  FollowerStatus status_;
  std::thread thread_;
};

Follower::Follower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Follower::~Follower() = default;

Result<std::unique_ptr<Follower>> Follower::Start(Engine* engine, store::ObjectStore* store,
                                                  FollowerOptions options) {
  auto impl = std::make_unique<Impl>(engine, store, std::move(options));
  ARROW_RETURN_NOT_OK(impl->Open());
  return std::unique_ptr<Follower>(new Follower(std::move(impl)));
}

FollowerStatus Follower::status() const { return impl_->status(); }

}  // namespace fletching::remote
