// Objects under keys: a prefix of an S3 bucket, of a store that speaks S3's protocol, or a folder.
//
//   ObjectStore::Open("s3://bucket/features", {})           store->Get("a/b") reads features/a/b
//   ObjectStore::Open("file:///mnt/share/features", {})     also for NFS
//
// An object is written whole or not at all, and its etag changes with its bytes. Everything that
// can be tried again without harm is tried again, with back-off, until the call's deadline. What
// was received is checked against the announced length and etag before anybody sees it.
//
// Does not know what the bytes mean, and keeps no cache.
//
// Errors, all with the place, the cause and the fix, never with a secret:
//   kNotFound        the object, or the bucket, is not there
//   kAlreadyExists   a condition failed: the object is there already, or is not the one of if_match
//   kDeadline        not done in time; the text has the last trouble
//   kUnavailable     credentials refused, wrong region, clock skew, an answer that makes no sense
//   kCancelled, kStorageFull, kTooLarge, kInvalidArgument
// Threads: all methods, any thread; GetToFile starts two of its own. Not across a fork.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "base/clock.h"

namespace fletching::store {

struct ObjectStoreOptions {
  // "http://127.0.0.1:9000"; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, then AWS itself.
  std::string endpoint = {};
  std::string region = {};  // empty: AWS_REGION, AWS_DEFAULT_REGION, then us-east-1
  // Empty: AWS_ACCESS_KEY_ID and its like, then profile, web identity, container, instance.
  std::string access_key = {};
  std::string secret_key = {};
  std::string session_token = {};
  bool anonymous = false;  // sign nothing: public buckets
  // http://endpoint/bucket/key instead of http://bucket.endpoint/key. Empty: with an endpoint.
  std::optional<bool> path_style = {};
  std::string ca_file = {};  // certificates to trust instead of the system's

  int32_t connections_max = 16;  // of one call
  // Piece of a large object; one per connection, and some that are being written, are in memory.
  uint64_t part_bytes = 8ULL << 20;
  int32_t connect_timeout_ms = 5'000;
  int32_t stall_timeout_ms = 20'000;  // without a byte in either direction
  int64_t deadline_ms = 60'000;       // see CallOptions
  int32_t backoff_first_ms = 100;     // doubles with every attempt, half of it random
  int32_t backoff_max_ms = 5'000;

  const Clock* clock = nullptr;  // of signatures; null: the system's
  uint64_t random_seed = 0;      // of the back-off; 0: the system's entropy
};

struct CallOptions {
  // For the whole call. 0: the store's own, which a call that moves many pieces (files, ranges,
  // deletes) starts anew with every piece done.
  int64_t deadline_ms = 0;
  std::stop_token stop = {};  // ends the call with kCancelled
};

struct ObjectInfo {
  std::string key = {};
  uint64_t size_bytes = 0;
  std::string etag = {};    // as the store gives it, with its quotes; compare only
  int64_t modified_us = 0;  // since 1970, UTC; 0 where the answer does not tell
};

struct ObjectBytes {
  std::vector<uint8_t> bytes = {};
  ObjectInfo info = {};  // size_bytes: of the whole object
};

struct GetOptions {
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = UINT64_MAX;  // cut at the object's end
  std::string if_match = {};         // kAlreadyExists when the object has another etag
  uint64_t bytes_max = 1ULL << 30;   // kTooLarge when more would come
  CallOptions call = {};
};

struct RangeRead {
  uint64_t offset_bytes = 0;
  std::span<uint8_t> target = {};
};

struct DownloadOptions {
  std::string if_match = {};
  bool sync = true;  // durable on return; without, a power loss may leave a file of wrong bytes
  CallOptions call = {};
};

struct ListOptions {
  std::string start_after = {};  // only keys behind this one
  // Not below the next '/' behind the prefix: such keys are told as one folder.
  bool shallow = false;
  int32_t entries_max = 1'000;  // of a page; a store may give fewer
  std::string page = {};        // ObjectPage::next_page of the page before
  CallOptions call = {};
};

struct ObjectPage {
  std::vector<ObjectInfo> objects = {};   // by key, as bytes
  std::vector<std::string> folders = {};  // with their '/', by name
  std::string next_page = {};             // empty: this was the last
};

class ObjectStore {
 public:
  // Connects to nothing. Errors: kInvalidArgument naming what is wrong with the URL;
  // kUnsupported for a scheme we do not know, or where libcurl is missing.
  static Result<std::unique_ptr<ObjectStore>> Open(const std::string& url,
                                                   const ObjectStoreOptions& options);
  virtual ~ObjectStore() = default;

  virtual const std::string& url() const = 0;  // as in errors: without query and secrets

  virtual Result<ObjectInfo> Head(const std::string& key, const CallOptions& call) = 0;
  virtual Result<ObjectBytes> Get(const std::string& key, const GetOptions& options) = 0;
  // Fills every target, on several connections at once. All bytes are of the object of `if_match`,
  // which may not be empty; after an error the targets hold anything.
  virtual Status GetRanges(const std::string& key, const std::string& if_match,
                           std::span<const RangeRead> ranges, const CallOptions& call) = 0;
  // The whole object, on several connections at once. `path` appears when all bytes are there. What
  // an interrupted call left in `path`.part and `path`.part.state is checked and used by the next
  // one, if the object is still the same; remove both to give up. Errors: kLocked while another
  // call downloads to `path`.
  virtual Result<ObjectInfo> GetToFile(const std::string& key, const std::string& path,
                                       const DownloadOptions& options) = 0;

  virtual Result<ObjectInfo> Put(const std::string& key, ByteSpan bytes,
                                 const CallOptions& call) = 0;
  // The file must not change meanwhile. A large one goes in parts, which are taken back after an
  // error; those of a process that died stay until the bucket's life-cycle rule removes them.
  virtual Result<ObjectInfo> PutFile(const std::string& key, const std::string& path,
                                     const CallOptions& call) = 0;
  // Of all callers at most one succeeds. When the answer got lost, the object is looked at: an OK
  // means that these bytes are there by this call. Errors: kAlreadyExists: somebody else won;
  // kDeadline, kUnavailable: the outcome may be unknown, so read the object before going on.
  virtual Result<ObjectInfo> PutIfAbsent(const std::string& key, ByteSpan bytes,
                                         const CallOptions& call) = 0;
  // As above, in place of the object of `etag`. Errors: kNotFound when there is none.
  virtual Result<ObjectInfo> PutIfMatch(const std::string& key, ByteSpan bytes,
                                        const std::string& etag, const CallOptions& call) = 0;

  virtual Result<ObjectPage> List(const std::string& prefix, const ListOptions& options) = 0;
  // All pages. Cost: the keys in memory.
  Result<std::vector<ObjectInfo>> ListAll(const std::string& prefix, const std::string& start_after,
                                          const CallOptions& call);
  // One that is not there is fine.
  virtual Status Delete(std::span<const std::string> keys, const CallOptions& call) = 0;
};

}  // namespace fletching::store
