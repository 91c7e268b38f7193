#include "io/posix_mapped_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "io/posix_error.h"

namespace fletching::io {
namespace {

constexpr size_t kLargePageBytes = size_t{2} << 20;
constexpr size_t kAdvisedPerCall = 1024;  // UIO_MAXIOV

// Reserves addresses for `bytes` starting at a 2 MiB boundary; nullptr when there are none.
uint8_t* ReserveAligned(size_t bytes) {
  const size_t reserved_bytes = bytes + kLargePageBytes;
  void* reserved = ::mmap(nullptr, reserved_bytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* const start = static_cast<uint8_t*>(reserved);
  const uintptr_t address = reinterpret_cast<uintptr_t>(start);
  const size_t head_bytes = RoundUp(address, kLargePageBytes) - address;
  uint8_t* const aligned = start + head_bytes;
  if (head_bytes > 0) ::munmap(start, head_bytes);
  const size_t kept_bytes = RoundUp(bytes, 4096);
  const size_t tail_bytes = reserved_bytes - head_bytes - kept_bytes;
  if (tail_bytes > 0) ::munmap(aligned + kept_bytes, tail_bytes);
  return aligned;
}

Result<const uint8_t*> MapDescriptor(const std::string& path, int descriptor, size_t bytes) {
  // A file smaller than a large page gains nothing from alignment.
  uint8_t* const wanted = bytes >= kLargePageBytes ? ReserveAligned(bytes) : nullptr;
  const int flags = MAP_SHARED | (wanted == nullptr ? 0 : MAP_FIXED);
  void* const start = ::mmap(wanted, bytes, PROT_READ, flags, descriptor, 0);
  if (start == MAP_FAILED) {
    const int error = errno;
    if (wanted != nullptr) ::munmap(wanted, bytes);
    return ErrnoError("map", path, error);
  }
  return static_cast<const uint8_t*>(start);
}

}  // namespace

Result<std::shared_ptr<MappedFile>> PosixMappedFile::Open(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const Mapping mapping, MapFile(path));
  return std::shared_ptr<MappedFile>(new PosixMappedFile(path, mapping));
}

Result<PosixMappedFile::Mapping> PosixMappedFile::MapFile(const std::string& path) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return ErrnoError("open", path, errno);
  struct stat facts;
  Status status = Status::OK();
  const uint8_t* start = nullptr;
  size_t bytes = 0;
  if (::fstat(descriptor, &facts) != 0) {
    status = ErrnoError("open", path, errno);
  } else if (!S_ISREG(facts.st_mode)) {
    status = Unavailable("cannot map " + path + ": it is not a plain file");
  } else if (facts.st_size > 0) {
    bytes = static_cast<size_t>(facts.st_size);
    status = MapDescriptor(path, descriptor, bytes).Value(&start);
  }
  ::close(descriptor);  // the mapping keeps the file
  ARROW_RETURN_NOT_OK(status);
  return Mapping{start, bytes};
}

PosixMappedFile::PosixMappedFile(std::string path, const Mapping& mapping)
    : path_(std::move(path)), start_(mapping.start), bytes_(mapping.bytes) {
  if (start_ != nullptr) guard_.emplace(start_, bytes_, &has_failed_);
}

void PosixMappedFile::Populate() const {
  if (start_ == nullptr) return;
  // Unlike a touch, it raises no SIGBUS where the file was cut short. Kernels before 5.14 refuse.
  (void)::madvise(const_cast<uint8_t*>(start_), bytes_, MADV_POPULATE_READ);
}

void PosixMappedFile::OpenDirect() {
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT);
  if (descriptor < 0) return;
  // The same file still, on a file system that means it.
  struct stat facts;
  const std::unique_ptr<void, decltype(&std::free)> piece(
      std::aligned_alloc(kPieceBytes, kPieceBytes), &std::free);
  if (piece != nullptr && ::fstat(descriptor, &facts) == 0 && S_ISREG(facts.st_mode) &&
      static_cast<size_t>(facts.st_size) == bytes_ &&
      ::pread(descriptor, piece.get(), kPieceBytes, 0) > 0) {
    direct_descriptor_ = descriptor;
  } else {
    ::close(descriptor);
  }
}

void PosixMappedFile::WillNeed(std::span<const FileRange> ranges) const {
  if (start_ == nullptr || ranges.empty()) return;
  std::vector<iovec> pieces;
  pieces.reserve(ranges.size());
  for (const FileRange& range : ranges) {
    pieces.push_back({const_cast<uint8_t*>(start_) + range.offset_bytes, range.size_bytes});
  }
  const auto self = static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0));
  for (size_t at = 0; at < pieces.size(); at += kAdvisedPerCall) {
    const size_t count = std::min(kAdvisedPerCall, pieces.size() - at);
    if (self >= 0 && ::syscall(SYS_process_madvise, self, &pieces[at], count, MADV_WILLNEED, 0) > 0)
      continue;
    // Kernels before 5.10, and containers that forbid it.
    for (size_t i = at; i < at + count; ++i) {
      (void)::madvise(pieces[i].iov_base, pieces[i].iov_len, MADV_WILLNEED);
    }
  }
  if (self >= 0) ::close(self);
}

void PosixMappedFile::LetGo(const FileRange& range) const {
  if (start_ == nullptr || range.size_bytes == 0) return;
  // The page cache drops only what nobody has mapped.
  (void)::madvise(const_cast<uint8_t*>(start_) + range.offset_bytes, range.size_bytes,
                  MADV_DONTNEED);
  if (direct_descriptor_ < 0) return;
  (void)::posix_fadvise(direct_descriptor_, static_cast<off_t>(range.offset_bytes),
                        static_cast<off_t>(range.size_bytes), POSIX_FADV_DONTNEED);
}

PosixMappedFile::~PosixMappedFile() {
  if (direct_descriptor_ >= 0) ::close(direct_descriptor_);
  guard_.reset();  // first: once unmapped, the addresses may be somebody else's
  if (start_ != nullptr) ::munmap(const_cast<uint8_t*>(start_), bytes_);
}

}  // namespace fletching::io
