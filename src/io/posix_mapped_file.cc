#include "io/posix_mapped_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "io/posix_error.h"

namespace fletching::io {
namespace {

constexpr size_t kLargePageBytes = size_t{2} << 20;

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

PosixMappedFile::~PosixMappedFile() {
  guard_.reset();  // first: once unmapped, the addresses may be somebody else's
  if (start_ != nullptr) ::munmap(const_cast<uint8_t*>(start_), bytes_);
}

}  // namespace fletching::io
