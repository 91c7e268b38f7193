#include "remote/follower.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
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

io::FileSystem* Disk() { return io::PosixFileSystem(); }

uint64_t FileNumber(const std::string& name, std::string_view ending) {
  if (!name.ends_with(ending)) return 0;
  return std::strtoull(name.c_str(), nullptr, 10);
}

// A table that is new here is made under another name, so that nobody opens it half made.
std::string NewFolder(const std::string& data_dir, uint64_t id) {
  const std::string folder = TableFolder(data_dir, id);
  const size_t slash = folder.find_last_of('/');
  return folder.substr(0, slash + 1) + ".new-" + folder.substr(slash + 1);
}

}  // namespace

// What lies in a table's folder; rests of downloads that never ended go.
Result<FolderSync::TableFiles> FolderSync::Look(uint64_t id, const std::string& folder) const {
  TableFiles files;
  if (!Disk()->Exists(folder)) return files;
  ARROW_ASSIGN_OR_RAISE(const auto entries, Disk()->List(folder));
  for (const io::FolderEntry& entry : entries) {
    const std::string path = folder + "/" + entry.name;
    if (entry.name.find(".part") != std::string::npos || entry.name.ends_with(".tmp")) {
      IgnoreError(Disk()->Remove(path));
      continue;
    }
    const uint64_t number = FileNumber(entry.name, ".flseg");
    if (number == 0) continue;
    const auto key = SegmentKeyOf(id, path);
    if (key.ok()) {
      files.numbers[*key] = number;
    } else {
      IgnoreError(Disk()->Remove(path));  // damaged: it is fetched again
    }
  }
  return files;
}

Status FolderSync::ApplyTable(const format::RemoteTable& table, uint64_t sequence,
                              const store::CallOptions& call) {
  const std::string final_folder = TableFolder(data_dir_, table.id);
  const bool is_new = !Disk()->Exists(final_folder);
  const std::string folder = is_new ? NewFolder(data_dir_, table.id) : final_folder;
  auto known = tables_.find(table.id);
  if (known == tables_.end()) {
    ARROW_ASSIGN_OR_RAISE(TableFiles files, Look(table.id, folder));
    known = tables_.emplace(table.id, std::move(files)).first;
  }
  TableFiles& files = known->second;
  if (!is_new && files.remote_manifest == table.manifest) return Status::OK();
  const std::string where = store_->url() + "/" + kRootKey;
  ARROW_ASSIGN_OR_RAISE(format::Manifest manifest,
                        format::DecodeManifest(AsBytes(table.manifest), where));
  if (manifest.segments.size() != table.segments.size()) {
    return Corruption(where, 0, "a table has another number of segments than its manifest");
  }
  ARROW_RETURN_NOT_OK(Disk()->MakeFolder(folder));
  uint64_t next_number = 1;
  for (const auto& [key, number] : files.numbers) next_number = std::max(next_number, number + 1);
  for (size_t i = 0; i < table.segments.size(); ++i) {
    const std::string& key = table.segments[i];
    auto local = files.numbers.find(key);
    if (local == files.numbers.end()) {
      const std::string path = SegmentPath(folder, next_number);
      ARROW_ASSIGN_OR_RAISE(const auto fetched, store_->GetToFile(key, path, {.call = call}));
      fetched_bytes_ += static_cast<int64_t>(fetched.size_bytes);
      ARROW_ASSIGN_OR_RAISE(const std::string is_key, SegmentKeyOf(table.id, path));
      if (is_key != key) {
        IgnoreError(Disk()->Remove(path));
        return Corruption(store_->url() + "/" + key, 0, "the object is not what its name says");
      }
      local = files.numbers.emplace(key, next_number++).first;
    }
    manifest.segments[i].number = local->second;
  }
  manifest.number = sequence;
  manifest.next_segment = next_number;
  ARROW_RETURN_NOT_OK(Disk()->SyncFolder(folder));
  const std::vector<uint8_t> bytes = format::EncodeManifest(manifest);
  ARROW_RETURN_NOT_OK(
      WriteFileDurably(ManifestPath(folder, sequence), std::string(bytes.begin(), bytes.end())));
  if (is_new) {
    ARROW_RETURN_NOT_OK(Disk()->Rename(folder, final_folder));
    ARROW_RETURN_NOT_OK(Disk()->SyncFolder(data_dir_ + "/tables"));
  }
  files.remote_manifest = table.manifest;
  return Status::OK();
}

Status FolderSync::Apply(const format::RemoteRoot& root, const store::CallOptions& call) {
  ARROW_RETURN_NOT_OK(Disk()->MakeFolder(data_dir_ + "/tables"));
  for (const format::RemoteTable& table : root.tables) {
    ARROW_RETURN_NOT_OK(ApplyTable(table, root.sequence, call));
  }
  // A table that is gone goes by its name first, as a drop does.
  std::set<uint64_t> named;
  for (const format::RemoteTable& table : root.tables) named.insert(table.id);
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint64_t> here, TableIds(data_dir_));
  for (const uint64_t id : here) {
    if (named.contains(id)) continue;
    const std::string folder = TableFolder(data_dir_, id);
    const size_t slash = folder.find_last_of('/');
    const std::string dropped =
        folder.substr(0, slash + 1) + ".dropped-" + folder.substr(slash + 1);
    if (Disk()->Exists(dropped)) ARROW_RETURN_NOT_OK(Disk()->RemoveFolder(dropped));
    ARROW_RETURN_NOT_OK(Disk()->Rename(folder, dropped));
    tables_.erase(id);
  }
  ARROW_RETURN_NOT_OK(Disk()->SyncFolder(data_dir_ + "/tables"));
  applied_ = root;
  return Status::OK();
}

void FolderSync::CleanUp() {
  const auto folders = Disk()->List(data_dir_ + "/tables");
  if (folders.ok()) {
    for (const io::FolderEntry& entry : *folders) {
      if (entry.name.starts_with(".dropped-") || entry.name.starts_with(".new-")) {
        IgnoreError(Disk()->RemoveFolder(data_dir_ + "/tables/" + entry.name));
      }
    }
  }
  for (const format::RemoteTable& table : applied_.tables) {
    const std::string folder = TableFolder(data_dir_, table.id);
    TableFiles& files = tables_[table.id];
    const std::set<std::string> wanted(table.segments.begin(), table.segments.end());
    for (auto file = files.numbers.begin(); file != files.numbers.end();) {
      if (wanted.contains(file->first)) {
        ++file;
        continue;
      }
      IgnoreError(Disk()->Remove(SegmentPath(folder, file->second)));
      file = files.numbers.erase(file);
    }
    const auto entries = Disk()->List(folder);
    if (!entries.ok()) continue;
    uint64_t newest = 0;
    for (const io::FolderEntry& entry : *entries) {
      newest = std::max(newest, FileNumber(entry.name, ".flman"));
    }
    for (const io::FolderEntry& entry : *entries) {
      const uint64_t number = FileNumber(entry.name, ".flman");
      if (number != 0 && number < newest) IgnoreError(Disk()->Remove(folder + "/" + entry.name));
    }
  }
}

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
  return Disk()->MakeFolder(data_dir + "/tables");
}

class Follower::Impl {
 public:
  Impl(Engine* engine, store::ObjectStore* store, FollowerOptions options)
      : engine_(engine),
        store_(store),
        options_(std::move(options)),
        sync_(store, options_.data_dir) {}

  ~Impl() {
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
    ARROW_ASSIGN_OR_RAISE(lock_, Disk()->Lock(options_.data_dir + "/LOCK"));
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
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(options_.poll_interval_ms),
                     [this] { return is_stopping_; });
      if (is_stopping_) return;
    }
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
    if (!etag_.empty()) {
      const auto head = store_->Head(kRootKey, call);
      ARROW_RETURN_NOT_OK(head.status());
      if (head->etag == etag_) return Status::OK();
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

  Engine* const engine_;
  store::ObjectStore* const store_;
  const FollowerOptions options_;
  std::unique_ptr<io::FolderLock> lock_;
  std::stop_source stop_;
  FolderSync sync_;   // of the thread
  std::string etag_;  // likewise: of the root that is shown

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool is_stopping_ = false;
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
