// The folder of a replica, made to hold what a root says, and no more of it than fits.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "format/remote_root.h"
#include "remote/segment_cache.h"
#include "store/object_store.h"

namespace fletching::remote {

// Each table changes by one manifest, so whoever opens the folder at any moment, after a crash too,
// finds each table as some root had it. A segment that is dropped from the disk, or fetched whole,
// gets another number: to a reader it is another file, and what it looks at stays as it is.
// Threads: one at a time. Nobody else writes to the folder.
class FolderSync {
 public:
  // cache: whose options say what is kept; null: everything, whole.
  FolderSync(store::ObjectStore* store, std::string data_dir, SegmentCache* cache);

  // Fetches what is missing and writes the manifests. Errors: kNotFound for an object that was
  // removed meanwhile: there is a newer root then.
  Status Apply(const format::RemoteRoot& root, const store::CallOptions& call);
  // Drops what nobody used for longest while the cache is above its budget, and fetches whole, one
  // a call, what is used and fits. -> whether there are new manifests to be shown.
  Result<bool> Balance(const store::CallOptions& call);
  // Removes what Apply and Balance left behind, once nobody opens older manifests any more.
  void CleanUp();

  int64_t fetched_bytes() const { return fetched_bytes_; }
  int64_t cache_bytes() const { return cache_bytes_; }  // as Balance left it

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct LocalSegment {
    uint64_t number = 0;
    uint64_t size_bytes = 0;  // of the object
    bool is_whole = true;
    Time used_at;
    int64_t least_bytes = 0;  // on the disk when all was dropped that can be
  };
  struct TableFiles {
    format::RemoteTable applied;
    std::map<std::string, LocalSegment> segments;  // by key
    uint64_t next_number = 1;
    uint64_t manifest_number = 0;
    bool is_manifest_old = false;  // segments have changed since

    bool IsShown() const { return !applied.manifest.empty(); }  // else it is being fetched
  };
  struct Candidate {
    uint64_t table_id = 0;
    const std::string* key = nullptr;
    LocalSegment* segment = nullptr;
    int64_t disk_bytes = 0;
  };

  Status ApplyTable(const format::RemoteTable& table, const store::CallOptions& call);
  Result<TableFiles> Look(uint64_t id, const std::string& folder) const;
  Result<TableFiles*> LookAtFiles(uint64_t id);  // as known, or by Look
  static int64_t LeastBytes(const LocalSegment& segment);
  Status WriteManifest(TableFiles* files, const std::string& folder,
                       const format::RemoteTable& table);
  Status Bring(TableFiles* files, uint64_t table_id, const std::string& folder,
               const std::string& key, uint64_t size_bytes, const store::CallOptions& call);
  Status FetchWhole(TableFiles* files, uint64_t table_id, const std::string& folder,
                    const std::string& key, const store::CallOptions& call);
  Status MakePartial(TableFiles* files, const std::string& folder, const std::string& key,
                     uint64_t size_bytes, const std::string& carry_from);
  std::string PathOf(const std::string& folder, const std::string& key,
                     const LocalSegment& segment) const;
  bool FitsWhole(uint64_t size_bytes) const;
  std::vector<Candidate> LookAtUse();  // longest unused first; counts cache_bytes_
  Status DropUntil(int64_t limit_bytes, std::span<Candidate> by_use, bool one_only);
  Status FetchOneUsed(std::vector<Candidate>* by_use, const store::CallOptions& call);
  Status Drop(Candidate* candidate);
  // A file whose removal gives the little space that making room takes on a full disk.
  std::string ReservePath() const { return data_dir_ + "/cache.reserve"; }
  void KeepReserve() const;
  void LowerLimit();

  store::ObjectStore* const store_;
  const std::string data_dir_;
  SegmentCache* const cache_;
  std::map<uint64_t, TableFiles> tables_;
  int64_t fetched_bytes_ = 0;
  int64_t limit_bytes_;  // of the cache; 0 = none
  int64_t cache_bytes_ = 0;
  Time looked_at_;
  std::vector<std::string> replaced_;  // files that no manifest names any more, until CleanUp
  bool is_applying_ = false;  // an Apply has failed half-way: what it brought is kept for the next
};

}  // namespace fletching::remote
