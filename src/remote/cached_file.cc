#include "remote/cached_file.h"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace fletching::remote {
namespace {

using io::FileRange;

// Of one request: long stretches come over several connections.
constexpr uint64_t kRequestBytesMax = uint64_t{256} << 10;
// In memory at once, and to come within one deadline.
constexpr uint64_t kRoundBytesMax = uint64_t{4} << 20;

}  // namespace

CachedFile::CachedFile(std::string path, const Mapping& mapping, CacheTraffic* traffic)
    : PosixMappedFile(std::move(path), mapping), traffic_(traffic) {}

Result<std::shared_ptr<CachedFile>> CachedFile::OpenWhole(const std::string& path,
                                                          CacheTraffic* traffic) {
  ARROW_ASSIGN_OR_RAISE(const Mapping mapping, MapFile(path));
  return std::shared_ptr<CachedFile>(new CachedFile(path, mapping, traffic));
}

Result<std::shared_ptr<CachedFile>> CachedFile::OpenPartial(const std::string& path,
                                                            const std::string& key,
                                                            uint64_t size_bytes,
                                                            CacheTraffic* traffic) {
  ARROW_ASSIGN_OR_RAISE(const Mapping mapping, MapFile(path));
  std::shared_ptr<CachedFile> file(new CachedFile(path, mapping, traffic));
  if (mapping.bytes != size_bytes) {
    return Corruption(path, mapping.bytes, "not as long as its name says");
  }
  file->descriptor_ = std::make_unique<store::OpenFile>(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file->descriptor_->get() < 0) return Unavailable("cannot open " + path + " for writing");
  file->key_ = key;
  file->here_ = std::vector<std::atomic<uint64_t>>((size_bytes / kPieceBytes + 64) / 64);
  file->FindExtents();
  return file;
}

void CachedFile::FindExtents() {
  const auto end = static_cast<off_t>(bytes().size());
  const int descriptor = descriptor_->get();
  for (off_t at = 0; at < end;) {
    const off_t data = ::lseek(descriptor, at, SEEK_DATA);
    if (data < 0) return;  // no more, or a file system that cannot tell
    off_t hole = ::lseek(descriptor, data, SEEK_HOLE);
    if (hole < 0) hole = end;
    const auto first = RoundUp(static_cast<uint64_t>(data), kPieceBytes);
    if (static_cast<uint64_t>(hole) > first) {
      MarkHere(first, static_cast<uint64_t>(hole) - first);
    }
    at = hole;
  }
}

// Whole pieces only; the last of the file may be short.
void CachedFile::MarkHere(uint64_t offset_bytes, uint64_t size_bytes) const {
  const uint64_t end = offset_bytes + size_bytes;
  const uint64_t piece_end = end >= bytes().size() ? RoundUp(bytes().size(), kPieceBytes)
                                                   : end / kPieceBytes * kPieceBytes;
  for (uint64_t at = offset_bytes; at < piece_end; at += kPieceBytes) {
    const uint64_t piece = at / kPieceBytes;
    here_[piece / 64].fetch_or(uint64_t{1} << (piece % 64), std::memory_order_release);
  }
}

bool CachedFile::IsHere(const FileRange& range) const {
  if (!is_partial()) return true;
  const uint64_t end = range.offset_bytes + range.size_bytes;
  for (uint64_t piece = range.offset_bytes / kPieceBytes; piece * kPieceBytes < end; ++piece) {
    const uint64_t bits = here_[piece / 64].load(std::memory_order_acquire);
    if (((bits >> (piece % 64)) & 1) == 0) return false;
  }
  return true;
}

void CachedFile::MarkUsed(bool was_here) const {
  if (!was_used_.load(std::memory_order_relaxed)) was_used_.store(true, std::memory_order_relaxed);
  traffic_->CountLookup(was_here);
}

Status CachedFile::Fetch(std::span<const FileRange> ranges, const Accept& accept) const {
  // Also when it fails for want of space: else this very file would be the first to be dropped.
  was_used_.store(true, std::memory_order_relaxed);
  std::vector<FileRange> pieces;
  uint64_t round_bytes = 0;
  for (const FileRange& range : ranges) {
    for (uint64_t done = 0; done < range.size_bytes;) {
      const uint64_t bytes = std::min(range.size_bytes - done, kRequestBytesMax);
      pieces.push_back({range.offset_bytes + done, bytes});
      done += bytes;
      round_bytes += bytes;
      if (round_bytes < kRoundBytesMax) continue;
      ARROW_RETURN_NOT_OK(FetchSome(pieces, accept));
      pieces.clear();
      round_bytes = 0;
    }
  }
  return pieces.empty() ? Status::OK() : FetchSome(pieces, accept);
}

Status CachedFile::FetchSome(std::span<const FileRange> pieces, const Accept& accept) const {
  uint64_t total = 0;
  for (const FileRange& piece : pieces) total += piece.size_bytes;
  std::vector<uint8_t> buffer(total);
  std::vector<store::RangeRead> reads;
  uint64_t at = 0;
  for (const FileRange& piece : pieces) {
    reads.push_back({piece.offset_bytes, std::span(buffer).subspan(at, piece.size_bytes)});
    at += piece.size_bytes;
  }
  std::string etag;
  {
    const std::lock_guard lock(mutex_);
    etag = etag_;
  }
  ARROW_RETURN_NOT_OK(traffic_->ReadRanges(key_, &etag, reads));
  {
    const std::lock_guard lock(mutex_);
    etag_ = std::move(etag);
  }
  for (const store::RangeRead& read : reads) {
    ARROW_RETURN_NOT_OK(accept(read.offset_bytes, read.target));
    const Status written =
        store::WriteFullyAt(descriptor_->get(), path(), read.offset_bytes, read.target);
    if (!written.ok()) {
      if (CodeOf(written) == ErrorCode::kStorageFull) traffic_->MetFullDisk();
      return written;
    }
    MarkHere(read.offset_bytes, read.target.size());
  }
  traffic_->Grew(static_cast<int64_t>(total));
  return Status::OK();
}

}  // namespace fletching::remote
