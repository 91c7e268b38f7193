// A segment on a replica's disk: whole, or as much of it as was asked for.
//
//   00000000000000000012.flseg                            whole
//   00000000000000000012.8c0f2a6e1b7d9405-1048576.flcache  a sparse file of the same length; the
//                                                         middle is the object's name
//
// What a sparse file holds is known by its extents, and believed by the segment's own checksums, so
// nothing is synced and nothing is kept beside it: a replica that starts again goes on with what is
// there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "io/posix_mapped_file.h"
#include "store/object_store.h"
#include "store/posix_io.h"

namespace fletching {
class Counter;
}

namespace fletching::remote {

// What the files of one cache share. Lifetime: outlives them.
class CacheTraffic {
 public:
  virtual ~CacheTraffic() = default;
  // As ObjectStore::GetRanges; *etag is that of the object, looked up when empty.
  virtual Status ReadRanges(const std::string& key, std::string* etag,
                            std::span<const store::RangeRead> ranges) = 0;
  virtual void CountLookup(bool was_here) = 0;
  virtual void Grew(int64_t bytes) = 0;
  virtual void MetFullDisk() = 0;
};

// Threads: any.
class CachedFile final : public io::PosixMappedFile {
 public:
  static Result<std::shared_ptr<CachedFile>> OpenWhole(const std::string& path,
                                                       CacheTraffic* traffic);
  // `key`: of the object. Errors: kNotFound; kCorruption when the file is not `size_bytes` long.
  static Result<std::shared_ptr<CachedFile>> OpenPartial(const std::string& path,
                                                         const std::string& key,
                                                         uint64_t size_bytes,
                                                         CacheTraffic* traffic);

  bool is_partial() const override { return descriptor_ != nullptr; }
  bool IsHere(const io::FileRange& range) const override;
  // Errors: kUnavailable when the remote does not give it in time; kStorageFull.
  Status Fetch(std::span<const io::FileRange> ranges, const Accept& accept) const override;
  void MarkUsed(bool was_here) const override;
  bool TakeUsed() const { return was_used_.exchange(false, std::memory_order_relaxed); }

 private:
  CachedFile(std::string path, const Mapping& mapping, CacheTraffic* traffic);
  void FindExtents();
  void MarkHere(uint64_t offset_bytes, uint64_t size_bytes) const;
  Status FetchSome(std::span<const io::FileRange> pieces, const Accept& accept) const;

  CacheTraffic* const traffic_;
  std::unique_ptr<store::OpenFile> descriptor_;  // null: whole
  std::string key_;
  mutable std::atomic<bool> was_used_{false};
  mutable std::vector<std::atomic<uint64_t>> here_;  // bit per piece
  mutable std::mutex mutex_;
  mutable std::string etag_;
};

}  // namespace fletching::remote
