// A data folder that follows a remote: what a root names is fetched, then shown at once.
// Journey: look -> fetch -> manifest -> show.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "fletching/fwd.h"
#include "fletching/status.h"

#include "format/remote_root.h"
#include "remote/remote_event.h"
#include "store/object_store.h"

namespace fletching::remote {

// Makes a data folder hold what a root says. Each table changes by one manifest, so whoever opens
// the folder at any moment, after a crash too, finds each table as some root had it.
// Threads: one at a time. Nobody else writes to the folder.
class FolderSync {
 public:
  FolderSync(store::ObjectStore* store, std::string data_dir)
      : store_(store), data_dir_(std::move(data_dir)) {}

  // Fetches what is missing and writes the manifests. Errors: kNotFound for an object that was
  // removed meanwhile: there is a newer root then.
  Status Apply(const format::RemoteRoot& root, const store::CallOptions& call);
  // Removes what the last Apply left behind, once nobody opens older manifests any more.
  void CleanUp();
  int64_t fetched_bytes() const { return fetched_bytes_; }

 private:
  struct TableFiles {
    std::string remote_manifest;              // as it was applied last
    std::map<std::string, uint64_t> numbers;  // of local files, by key
  };
  Status ApplyTable(const format::RemoteTable& table, uint64_t sequence,
                    const store::CallOptions& call);
  Result<TableFiles> Look(uint64_t id, const std::string& folder) const;

  store::ObjectStore* const store_;
  const std::string data_dir_;
  std::map<uint64_t, TableFiles> tables_;
  format::RemoteRoot applied_;
  int64_t fetched_bytes_ = 0;
};

struct FollowerOptions {
  std::string data_dir;
  int64_t poll_interval_ms = 1'000;
  std::function<void(const RemoteEvent& event)> on_event;  // the follower's thread
};

struct FollowerStatus {
  uint64_t sequence = 0;  // of the root that is shown; 0 = none yet
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
