#include "remote/segment_cache.h"

#include <limits>
#include <utility>
#include <vector>

#include "base/metric_names.h"
#include "remote/remote_files.h"

namespace fletching::remote {
namespace {

// A round of a read (kRoundBytesMax) waits no longer.
constexpr int64_t kReadMs = 5'000;
// A remote that hangs is not to hold every thread that serves: reads of what is here go on.
constexpr int kWaitingMax = 48;
constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

class Waiting {
 public:
  explicit Waiting(std::atomic<int>* all) : all_(all), count_(all->fetch_add(1) + 1) {}
  ~Waiting() { all_->fetch_sub(1); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  int count() const { return count_; }

 private:
  std::atomic<int>* const all_;
  const int count_;
};

}  // namespace

SegmentCache::SegmentCache(store::ObjectStore* store, const CacheOptions& options, Metrics* metrics)
    : store_(store),
      options_(options),
      hits_(metrics->Get(metric::kCacheHits)),
      misses_(metrics->Get(metric::kCacheMisses)),
      room_bytes_(options.budget_bytes > 0 ? options.budget_bytes : kNoLimit) {}

Result<std::shared_ptr<io::MappedFile>> SegmentCache::OpenSegment(const std::string& path) {
  io::FileSystem* const disk = io::PosixFileSystem();
  const std::lock_guard lock(mutex_);
  std::erase_if(files_, [](const auto& entry) { return entry.second.expired(); });
  std::string actual = path;
  std::string key;
  uint64_t size_bytes = 0;
  if (!disk->Exists(path)) {
    ARROW_ASSIGN_OR_RAISE(const auto partial, FindPartial(path));
    actual = partial.path;
    key = partial.key;
    size_bytes = partial.size_bytes;
  }
  std::weak_ptr<CachedFile>& known = files_[actual];
  if (const auto file = known.lock(); file != nullptr && file->CheckRead().ok()) return file;
  std::shared_ptr<CachedFile> file;
  if (key.empty()) {
    ARROW_ASSIGN_OR_RAISE(file, CachedFile::OpenWhole(actual, this));
  } else {
    ARROW_ASSIGN_OR_RAISE(file, CachedFile::OpenPartial(actual, key, size_bytes, this));
  }
  known = file;
  return file;
}

bool SegmentCache::TakeUsed(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(path);
  const auto file = found == files_.end() ? nullptr : found->second.lock();
  return file != nullptr && file->TakeUsed();
}

void SegmentCache::SetWaker(std::function<void()> waker) {
  const std::lock_guard lock(mutex_);
  waker_ = std::move(waker);
}

Status SegmentCache::ReadRanges(const std::string& key, std::string* etag,
                                std::span<const store::RangeRead> ranges) {
  const Waiting waiting(&waiting_count_);
  if (waiting.count() > kWaitingMax) {
    return Unavailable("too many reads wait for the remote already; try again");
  }
  const store::CallOptions call{.deadline_ms = kReadMs, .stop = stop_.get_token()};
  const auto read = [&]() -> Status {
    if (etag->empty()) {
      ARROW_ASSIGN_OR_RAISE(const store::ObjectInfo info, store_->Head(key, call));
      *etag = info.etag;
    }
    return store_->GetRanges(key, *etag, ranges, call);
  };
  Status status = read();
  if (!status.ok() && CodeOf(status) == ErrorCode::kAlreadyExists) {
    etag->clear();  // put once more, with the same bytes, as whoever asked will check
    status = read();
  }
  if (status.ok()) return status;
  return Unavailable("a part of the table is not on this node's disk and could not be fetched: " +
                     status.message());
}

void SegmentCache::CountLookup(bool was_here) { (was_here ? hits_ : misses_)->Add(); }

void SegmentCache::Grew(int64_t bytes) {
  if (room_bytes_.fetch_sub(bytes) < bytes) Wake();
}

void SegmentCache::MetFullDisk() {
  is_disk_full_.store(true);
  Wake();
}

void SegmentCache::Wake() {
  const std::lock_guard lock(mutex_);
  if (waker_) waker_();
}

}  // namespace fletching::remote
