#include "store/posix_io.h"

#include <cerrno>
#include <unistd.h>

#include "io/posix_error.h"

namespace fletching::store {

Status ReadFully(int descriptor, const std::string& path, uint64_t offset_bytes,
                 std::span<uint8_t> target) {
  while (!target.empty()) {
    const ssize_t got =
        ::pread(descriptor, target.data(), target.size(), static_cast<off_t>(offset_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io::ErrnoError("read", path, errno);
    if (got == 0) return Unavailable("cannot read " + path + ": it has become shorter");
    offset_bytes += static_cast<uint64_t>(got);
    target = target.subspan(static_cast<size_t>(got));
  }
  return Status::OK();
}

Status WriteFullyAt(int descriptor, const std::string& path, uint64_t offset_bytes,
                    ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t put =
        ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(offset_bytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io::ErrnoError("write", path, errno);
    offset_bytes += static_cast<uint64_t>(put);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return Status::OK();
}

Status WriteFully(int descriptor, const std::string& path, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(descriptor, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return io::ErrnoError("write", path, errno);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return Status::OK();
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace fletching::store
