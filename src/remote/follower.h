// A data folder that follows a remote: what a root names is fetched, then shown at once.
// Journey: look -> fetch -> manifest -> show -> make room.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "remote/remote_event.h"
#include "remote/segment_cache.h"
#include "store/object_store.h"

namespace fletching::remote {

struct FollowerOptions {
  std::string data_dir;
  int64_t poll_interval_ms = 1'000;
  SegmentCache* cache = nullptr;  // through which the engine opens segments; null: they are whole
  std::function<void(const RemoteEvent& event)> on_event;  // the follower's thread
};

struct FollowerStatus {
  uint64_t sequence = 0;    // of the root that is shown; 0 = none yet
  int64_t cache_bytes = 0;  // on the disk, of segments, whole and partial; 0 without a cache
  std::string problem;
};

// Threads: any; one of its own. Lifetime: engine and store outlive it.
class Follower {
 public:
  // `engine`: of the same folder, in kReadOnly. Errors: kLocked when somebody writes to the folder;
  // kInvalidArgument when it has tables of its own.
  static Result<std::unique_ptr<Follower>> Start(Engine* engine, store::ObjectStore* store,
                                                 FollowerOptions options);
  ~Follower();

  FollowerStatus status() const;

 private:
  class Impl;
  explicit Follower(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Before an engine is opened on it: the folder is new, or followed this remote before.
Status PrepareFolder(const std::string& data_dir, const std::string& url);

}  // namespace fletching::remote
