#include "remote/publisher.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "fletching/engine.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ignore_error.h"
#include "io/file.h"
#include "remote/remote_files.h"
#include "remote/root_object.h"

namespace fletching::remote {
namespace {

using std::chrono::steady_clock;
using Versions = std::map<std::string, uint64_t>;  // by table

// Differs whenever something was committed, changed, merged or dropped.
std::string SignatureOf(const std::vector<TableInfo>& tables) {
  std::string text;
  for (const TableInfo& table : tables) {
    text += table.name + '\n' + std::to_string(table.version) + ' ' +
            std::to_string(table.row_count) + ' ' + std::to_string(table.disk_bytes) + ' ' +
            std::to_string(table.segment_count) + '\n';
    if (table.generation.has_value()) text += table.generation->name + '\n';
    for (const ColumnSchema& column : table.schema.columns) {
      text += column.name + ':' + TypeName(*column.type) + '\n';
    }
  }
  return text;
}

constexpr int64_t kLastTryMs = 5'000;
constexpr int64_t kCollectMs = 600'000;  // between two searches for objects nobody names

Status Superseded(const std::string& url) {
  return MakeError(ErrorCode::kLocked,
                   "another node has become the writer of " + url +
                       "; this one takes no writes any more. Start it again as a replica, or with "
                       "an empty data folder");
}

}  // namespace

class Publisher::Impl {
 public:
  Impl(Engine* engine, store::ObjectStore* store, PublisherOptions options)
      : engine_(engine), store_(store), options_(std::move(options)) {}

  ~Impl() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    wake_.notify_all();
    // What hangs is ended; a store that answers gets the last of it.
    std::jthread watch([this](const std::stop_token& done) {
      const auto until = steady_clock::now() + std::chrono::milliseconds(kLastTryMs);
      while (!done.stop_requested() && steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      stop_.request_stop();
    });
    thread_.join();
    watch.request_stop();
  }

  Status Open() {
    ARROW_ASSIGN_OR_RAISE(RemoteIdentity identity, ReadIdentity(options_.data_dir));
    ARROW_ASSIGN_OR_RAISE(auto found, ReadRoot(store_, Call()));
    if (!identity.url.empty() && identity.url != store_->url()) {
      return InvalidArgument("the data folder belongs to " + identity.url + ", not to " +
                             store_->url());
    }
    if (found.has_value() && found->root.writer_id != identity.writer_id) {
      const bool was_ours = !identity.writer_id.empty();
      return MakeError(ErrorCode::kLocked,
                       was_ours
                           ? Superseded(store_->url()).message()
                           : store_->url() +
                                 " has a writer already. To make this node the writer instead: "
                                 "`fletching promote`; to read from it: remote.role replica");
    }
    if (found.has_value() && found->root.sequence > identity.sequence + 1) {
      return InvalidArgument(
          "the data folder is older than what it has published to " + store_->url() + " (root " +
          std::to_string(found->root.sequence) + ", it knows of " +
          std::to_string(identity.sequence) +
          "): a backup, or a copy? Publishing it would take back what came since. Start with an "
          "empty folder and `fletching promote`");
    }
    if (identity.writer_id.empty()) {
      identity = {store_->url(), NewWriterId(), 0};
      ARROW_RETURN_NOT_OK(WriteIdentity(options_.data_dir, identity));
    }
    root_.writer_id = identity.writer_id;
    if (found.has_value()) {
      root_ = std::move(found->root);
      etag_ = found->etag;
      for (const auto& table : root_.tables)
        named_.insert(table.segments.begin(), table.segments.end());
    }
    thread_ = std::thread([this] { Run(); });
    return Status::OK();
  }

  Status WaitFor(const std::string& table, uint64_t version, int64_t timeout_ms) {
    std::unique_lock lock(mutex_);
    is_wanted_ = true;
    wake_.notify_all();
    const auto has_it = [&] {
      const auto found = published_.find(table);
      return found != published_.end() && found->second >= version;
    };
    const bool came = changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] {
      return has_it() || !status_.is_ours || is_stopping_;
    });
    if (has_it()) return Status::OK();
    if (!status_.is_ours) return Superseded(store_->url());
    return Unavailable("the write is durable here, but not yet in " + store_->url() + ": " +
                       (!status_.problem.empty() ? status_.problem
                        : came ? "the node is shutting down"
                               : "it takes longer than " + std::to_string(timeout_ms) + " ms"));
  }

  Status CheckOurs() const {
    const std::lock_guard lock(mutex_);
    return status_.is_ours ? Status::OK() : Superseded(store_->url());
  }

  PublisherStatus status() const {
    const std::lock_guard lock(mutex_);
    PublisherStatus status = status_;
    const auto& since = publishing_since_.has_value() ? publishing_since_ : dirty_since_;
    if (since.has_value()) status.lag_ms = std::max<int64_t>(MillisSince(*since), 1);
    return status;
  }

  void NoteCommit() {
    const std::lock_guard lock(mutex_);
    if (!dirty_since_.has_value()) dirty_since_ = steady_clock::now();
  }

 private:
  store::CallOptions Call() const { return {.stop = stop_.get_token()}; }

  void Run() {
    while (true) {
      Publish();
      std::unique_lock lock(mutex_);
      if (is_stopping_ && is_last_done_) return;
      wake_.wait_for(lock, std::chrono::milliseconds(options_.interval_ms),
                     [this] { return is_wanted_ || is_stopping_; });
      is_wanted_ = false;
      is_last_done_ = is_stopping_;
      if (!status_.is_ours && is_stopping_) return;
      if (!status_.is_ours) {
        wake_.wait(lock, [this] { return is_stopping_; });
        return;
      }
    }
  }

  void Publish() {
    const auto start = steady_clock::now();
    {
      // What comes from here on is for the next time.
      const std::lock_guard lock(mutex_);
      const auto since = std::exchange(dirty_since_, std::nullopt);
      if (!publishing_since_.has_value()) publishing_since_ = since;
    }
    const bool is_changed = !has_published_ || SignatureOf(engine_->ListTables()) != signature_;
    {
      const std::lock_guard lock(mutex_);
      if (!is_changed) publishing_since_.reset();
      if (is_changed && !publishing_since_.has_value()) publishing_since_ = start;
    }
    if (!is_changed) return;
    RemoteEvent event;
    const Status status = PublishOnce(&event);
    event.millis = MillisSince(start);
    event.sequence = root_.sequence;
    const ErrorCode code = status.ok() ? ErrorCode::kInternal : CodeOf(status);
    {
      const std::lock_guard lock(mutex_);
      status_.problem = status.ok() ? "" : status.message();
      if (code == ErrorCode::kAlreadyExists || code == ErrorCode::kLocked) {
        status_.is_ours = false;
        status_.problem = Superseded(store_->url()).message();
      }
      if (status.ok()) publishing_since_.reset();
      event.is_error = !status.ok();
      event.text = status_.problem;
    }
    changed_.notify_all();
    if (options_.on_event) options_.on_event(event);
    if (status.ok()) Collect();
  }

  Status PublishOnce(RemoteEvent* event) {
    for (const TableInfo& table : engine_->ListTables()) {
      const Status flushed = engine_->Flush(table.name);
      if (!flushed.ok() && CodeOf(flushed) != ErrorCode::kNotFound &&
          CodeOf(flushed) != ErrorCode::kCorruption) {
        return flushed;
      }
    }
    std::string signature = SignatureOf(engine_->ListTables());
    const std::string copy = options_.data_dir + ".publishing";
    io::FileSystem* const disk = io::PosixFileSystem();
    if (disk->Exists(copy)) ARROW_RETURN_NOT_OK(disk->RemoveFolder(copy));
    const auto report = engine_->Snapshot({.dir = copy});
    Status status = report.status();
    if (status.ok() && !report->left_out.empty()) {
      status = Unavailable("table '" + report->left_out[0] +
                           "' is damaged; nothing is published while it is");
    }
    Versions versions;
    if (status.ok()) status = Upload(copy, &versions, event);
    IgnoreError(disk->RemoveFolder(copy));
    ARROW_RETURN_NOT_OK(status);
    const std::lock_guard lock(mutex_);
    published_ = std::move(versions);
    signature_ = std::move(signature);
    has_published_ = true;
    return Status::OK();
  }

  Status Upload(const std::string& copy, Versions* versions, RemoteEvent* event) {
    format::RemoteRoot next;
    next.sequence = root_.sequence + 1;
    next.writer_id = root_.writer_id;
    next.published_time_us = SystemClock()->NowMicros();
    std::set<std::string> named;
    ARROW_ASSIGN_OR_RAISE(const std::vector<uint64_t> ids, TableIds(copy));
    for (const uint64_t id : ids) {
      const std::string folder = TableFolder(copy, id);
      ARROW_ASSIGN_OR_RAISE(const format::Manifest manifest, NewestManifest(folder));
      (*versions)[manifest.table_name] = manifest.commit;
      format::RemoteTable& table = next.tables.emplace_back();
      table.id = id;
      const std::vector<uint8_t> bytes = format::EncodeManifest(manifest);
      table.manifest.assign(bytes.begin(), bytes.end());
      for (const format::ManifestSegment& segment : manifest.segments) {
        const std::string path = SegmentPath(folder, segment.number);
        ARROW_ASSIGN_OR_RAISE(const std::string key, SegmentKeyOf(id, path));
        if (!named_.contains(key)) {
          ARROW_RETURN_NOT_OK(store_->PutFile(key, path, Call()).status());
          event->moved_bytes += static_cast<int64_t>(segment.file_bytes);
        }
        table.segments.push_back(key);
        named.insert(key);
      }
    }
    ARROW_ASSIGN_OR_RAISE(etag_, PutRoot(store_, next, etag_, Call()));
    root_ = std::move(next);
    named_ = std::move(named);
    return WriteIdentity(options_.data_dir, {store_->url(), root_.writer_id, root_.sequence});
  }

  // Objects that no root has named for a while. What is just being uploaded is young.
  void Collect() {
    const auto now = steady_clock::now();
    if (collected_at_.has_value() &&
        MillisSince(*collected_at_) < std::min(kCollectMs, options_.keep_deleted_ms)) {
      return;
    }
    collected_at_ = now;
    const auto objects = store_->ListAll("tables/", "", Call());
    if (!objects.ok()) return;
    std::vector<std::string> unnamed;
    std::map<std::string, steady_clock::time_point> since;
    for (const store::ObjectInfo& object : *objects) {
      if (named_.contains(object.key)) continue;
      const auto seen = unnamed_since_.find(object.key);
      const auto first = seen == unnamed_since_.end() ? now : seen->second;
      if (MillisSince(first) >= options_.keep_deleted_ms) {
        unnamed.push_back(object.key);
      } else {
        since[object.key] = first;
      }
    }
    unnamed_since_ = std::move(since);
    // A failure leaves them for the next time.
    if (!unnamed.empty()) IgnoreError(store_->Delete(unnamed, Call()));
  }

  Engine* const engine_;
  store::ObjectStore* const store_;
  const PublisherOptions options_;
  std::stop_source stop_;

  // Of the thread.
  format::RemoteRoot root_;
  std::string etag_;
  std::set<std::string> named_;  // objects of root_
  std::string signature_;        // of the tables as they were published
  bool has_published_ = false;
  std::map<std::string, steady_clock::time_point> unnamed_since_;
  std::optional<steady_clock::time_point> collected_at_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable changed_;
  bool is_wanted_ = false;
  bool is_stopping_ = false;
  bool is_last_done_ = false;
  Versions published_;
  // Of the oldest change that is being uploaded, or was and failed; and of the oldest after those.
  std::optional<steady_clock::time_point> publishing_since_;
  std::optional<steady_clock::time_point> dirty_since_;
  PublisherStatus status_;
  std::thread thread_;
};

Publisher::Publisher(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Publisher::~Publisher() = default;

Result<std::unique_ptr<Publisher>> Publisher::Start(Engine* engine, store::ObjectStore* store,
                                                    PublisherOptions options) {
  auto impl = std::make_unique<Impl>(engine, store, std::move(options));
  ARROW_RETURN_NOT_OK(impl->Open());
  return std::unique_ptr<Publisher>(new Publisher(std::move(impl)));
}

void Publisher::NoteCommit() { impl_->NoteCommit(); }
Status Publisher::WaitFor(const std::string& table, uint64_t version, int64_t timeout_ms) {
  return impl_->WaitFor(table, version, timeout_ms);
}
Status Publisher::CheckOurs() const { return impl_->CheckOurs(); }
PublisherStatus Publisher::status() const { return impl_->status(); }

}  // namespace fletching::remote
