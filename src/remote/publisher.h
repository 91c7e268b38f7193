// Puts what a writer commits under a URL, version by version. Journey: flush -> snapshot -> upload
// -> root.
//
// Acknowledged "local" means durable on this node's disk; the loss window, should the disk be lost,
// is the lag. "remote" waits for the root that has it.
//
// Threads: any; one of its own. Lifetime: engine and store outlive it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "remote/remote_event.h"
#include "store/object_store.h"

namespace fletching::remote {

struct PublisherOptions {
  std::string data_dir;
  int64_t interval_ms = 1'000;
  // How long objects stay that no root names any more: replicas may be fetching them.
  int64_t keep_deleted_ms = 3'600'000;
  std::function<void(const RemoteEvent& event)> on_event;  // the publisher's thread
};

struct PublisherStatus {
  int64_t lag_ms = 0;   // age of the oldest change that no root has; 0 = none
  std::string problem;  // of the last attempt; empty = none
  bool is_ours = true;  // false: another node was promoted; no write is taken any more
};

class Publisher {
 public:
  // Errors: kLocked when another node is the remote's writer, saying what to do; the store's.
  static Result<std::unique_ptr<Publisher>> Start(Engine* engine, store::ObjectStore* store,
                                                  PublisherOptions options);
  // Publishes what there is once more, for at most five seconds.
  ~Publisher();

  // To be told after every commit: the lag counts from it.
  void NoteCommit();
  // OK when a root has this version of the table. Errors: kUnavailable when it does not come about
  // in time (the write is durable here, and will be there later); kLocked.
  Status WaitFor(const std::string& table, uint64_t version, int64_t timeout_ms);
  // Errors: kLocked when another node has taken over.
  Status CheckOurs() const;
  PublisherStatus status() const;

 private:
  class Impl;
  explicit Publisher(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fletching::remote
