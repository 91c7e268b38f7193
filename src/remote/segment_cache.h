// The disk of a replica as a cache of the remote: opens segments that are whole and such that are
// only partly here, and knows which of them are in use. What is kept is FolderSync's to decide.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>

#include "fletching/status.h"

#include "base/metrics.h"
#include "io/file.h"
#include "remote/cached_file.h"
#include "store/object_store.h"

namespace fletching::remote {

struct CacheOptions {
  int64_t budget_bytes = 0;  // of the disk; 0 = no limit
  // No segment is fetched whole: rows come when they are read.
  bool lazy = false;
};

// Threads: any. Lifetime: outlives the engine that opens segments through it, and is outlived by
// the store.
class SegmentCache final : public io::SegmentOpener, private CacheTraffic {
 public:
  SegmentCache(store::ObjectStore* store, const CacheOptions& options, Metrics* metrics);

  const CacheOptions& options() const { return options_; }

  // `path`: of the whole segment, which may not be there. Errors: kNotFound when neither is.
  Result<std::shared_ptr<io::MappedFile>> OpenSegment(const std::string& path) override;

  // Whether anybody looked into this file since the last call. `path`: as it is on the disk.
  bool TakeUsed(const std::string& path);
  // How much may come until the waker is called. It is called from any thread, so it only wakes.
  void SetRoom(int64_t bytes) { room_bytes_.store(bytes); }
  void SetWaker(std::function<void()> waker);
  // Whether the disk had no space left since the last call.
  bool TakeDiskFull() { return is_disk_full_.exchange(false); }
  // Ends fetches under way and those to come.
  void Stop() { stop_.request_stop(); }

 private:
  Status ReadRanges(const std::string& key, std::string* etag,
                    std::span<const store::RangeRead> ranges) override;
  void CountLookup(bool was_here) override;
  void Grew(int64_t bytes) override;
  void MetFullDisk() override;
  void Wake();

  store::ObjectStore* const store_;
  const CacheOptions options_;
  const std::shared_ptr<Counter> hits_;
  const std::shared_ptr<Counter> misses_;
  std::stop_source stop_;
  std::atomic<int64_t> room_bytes_;
  std::atomic<bool> is_disk_full_{false};
  std::atomic<int> waiting_count_{0};  // threads that read from the remote

  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<CachedFile>> files_;
  std::function<void()> waker_;
};

}  // namespace fletching::remote
