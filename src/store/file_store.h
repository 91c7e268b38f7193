// ObjectStore on a folder, local or of NFS: an object is a file, a '/' in its key a folder.
//
// A write is a file beside the others that gets its name when it is whole and synced; names that
// begin with ".fletching-" are ours and never listed. An etag is made of inode, size and time of
// change. Put, PutIfMatch and Delete of all processes take turns by a lock on the folder, so the
// condition of a put still holds when it is carried out. Deadlines count for that wait alone.
#pragma once

#include <memory>
#include <string>

#include "store/object_store.h"

namespace fletching::store {

class FileStore final : public ObjectStore {
 public:
  // The folder is made when first written to.
  FileStore(std::string folder, const ObjectStoreOptions& options);

  const std::string& url() const override { return url_; }
  Result<ObjectInfo> Head(const std::string& key, const CallOptions& call) override;
  Result<ObjectBytes> Get(const std::string& key, const GetOptions& options) override;
  Status GetRanges(const std::string& key, const std::string& if_match,
                   std::span<const RangeRead> ranges, const CallOptions& call) override;
  Result<ObjectInfo> GetToFile(const std::string& key, const std::string& path,
                               const DownloadOptions& options) override;
  Result<ObjectInfo> Put(const std::string& key, ByteSpan bytes, const CallOptions& call) override;
  Result<ObjectInfo> PutFile(const std::string& key, const std::string& path,
                             const CallOptions& call) override;
  Result<ObjectInfo> PutIfAbsent(const std::string& key, ByteSpan bytes,
                                 const CallOptions& call) override;
  Result<ObjectInfo> PutIfMatch(const std::string& key, ByteSpan bytes, const std::string& etag,
                                const CallOptions& call) override;
  Result<ObjectPage> List(const std::string& prefix, const ListOptions& options) override;
  Status Delete(std::span<const std::string> keys, const CallOptions& call) override;

 private:
  class Lock;
  Result<std::string> PathOf(const std::string& key) const;
  Result<std::unique_ptr<Lock>> TakeLock(const CallOptions& call) const;
  // A synced file beside `path`. The caller renames, links or removes it.
  Result<std::string> WriteBeside(const std::string& path, ByteSpan bytes) const;
  Result<std::string> CopyBeside(const std::string& path, const std::string& source,
                                 const CallOptions& call) const;
  Result<ObjectInfo> PutInPlace(const std::string& key, const std::string& path,
                                const std::string& beside, const std::string* etag,
                                const CallOptions& call);

  const std::string folder_;
  const ObjectStoreOptions options_;
  const std::string url_;
};

}  // namespace fletching::store
