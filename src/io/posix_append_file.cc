#include "io/posix_append_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

#include "io/posix_error.h"

namespace fletching::io {

Result<std::unique_ptr<AppendFile>> PosixAppendFile::Create(const std::string& path) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return ErrnoError("create", path, errno);
  return std::unique_ptr<AppendFile>(new PosixAppendFile(path, descriptor));
}

PosixAppendFile::PosixAppendFile(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

PosixAppendFile::~PosixAppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status PosixAppendFile::CheckUsable(std::string_view action) const {
  if (broken_) {
    return Unavailable("cannot " + std::string(action) + " " + path_ +
                       ": an earlier error left the file in an unknown state");
  }
  if (descriptor_ < 0) {
    return Unavailable("cannot " + std::string(action) + " " + path_ + ": the file is closed");
  }
  return Status::OK();
}

int PosixAppendFile::WriteAll(std::span<const ByteSpan> pieces, uint64_t offset,
                              uint64_t* written_bytes) {
  std::array<iovec, 256> vectors;
  static_assert(vectors.size() <= IOV_MAX);
  size_t piece = 0;         // first piece not yet wholly written
  size_t piece_offset = 0;  // bytes of it that are
  for (;;) {
    size_t count = 0;
    for (size_t i = piece; i < pieces.size() && count < vectors.size(); ++i) {
      const size_t skip = i == piece ? piece_offset : 0;
      if (pieces[i].size() == skip) continue;  // pwritev of nothing but empty pieces returns 0
      vectors[count++] = {const_cast<uint8_t*>(pieces[i].data()) + skip, pieces[i].size() - skip};
    }
    if (count == 0) return 0;
    const ssize_t written = ::pwritev(descriptor_, vectors.data(), static_cast<int>(count),
                                      static_cast<off_t>(offset + *written_bytes));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    *written_bytes += static_cast<uint64_t>(written);
    size_t left = static_cast<size_t>(written);
    while (piece < pieces.size() && left >= pieces[piece].size() - piece_offset) {
      left -= pieces[piece].size() - piece_offset;
      piece_offset = 0;
      ++piece;
    }
    piece_offset += left;
  }
}

Status PosixAppendFile::Append(std::span<const ByteSpan> pieces) {
  ARROW_RETURN_NOT_OK(CheckUsable("append to"));
  uint64_t written_bytes = 0;
  const int error = WriteAll(pieces, size_bytes_, &written_bytes);
  if (error != 0) return TakeBack("append to", error);
  size_bytes_ += written_bytes;
  return Status::OK();
}

Status PosixAppendFile::Reserve(uint64_t bytes) {
  ARROW_RETURN_NOT_OK(CheckUsable("reserve space in"));
  static const std::array<uint8_t, 64 * 1024> zeros{};
  const uint64_t from = std::max(reserved_bytes_, size_bytes_);
  const uint64_t wanted = size_bytes_ + bytes;
  if (wanted <= from) return Status::OK();
  std::vector<ByteSpan> pieces((wanted - from) / zeros.size(), zeros);
  pieces.push_back(ByteSpan(zeros).first((wanted - from) % zeros.size()));
  uint64_t written_bytes = 0;
  const int error = WriteAll(pieces, from, &written_bytes);
  if (error != 0) return TakeBack("reserve space in", error);
  reserved_bytes_ = wanted;
  return Status::OK();
}

// Cuts off what was written behind the end: a full disk gets its space back, and the next Append
// finds the file as the caller believes it to be.
Status PosixAppendFile::TakeBack(std::string_view action, int error) {
  reserved_bytes_ = 0;
  if (::ftruncate(descriptor_, static_cast<off_t>(size_bytes_)) != 0) broken_ = true;
  return ErrnoError(action, path_, error);
}

Status PosixAppendFile::ReadAt(uint64_t offset_bytes, std::span<uint8_t> target) {
  ARROW_RETURN_NOT_OK(CheckUsable("read"));
  if (offset_bytes > size_bytes_ || target.size() > size_bytes_ - offset_bytes) {
    return Unavailable("cannot read " + path_ + ": bytes " + std::to_string(offset_bytes) + " to " +
                       std::to_string(offset_bytes + target.size()) + " of " +
                       std::to_string(size_bytes_));
  }
  size_t done = 0;
  while (done < target.size()) {
    const ssize_t got = ::pread(descriptor_, target.data() + done, target.size() - done,
                                static_cast<off_t>(offset_bytes + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError("read", path_, errno);
    if (got == 0) return Unavailable("cannot read " + path_ + ": it was cut by someone else");
    done += static_cast<size_t>(got);
  }
  return Status::OK();
}

void PosixAppendFile::StartWriteback() {
  if (broken_ || descriptor_ < 0 || writeback_bytes_ == size_bytes_) return;
  // Only a hint, so its answer does not matter: Sync reports what went wrong.
  (void)::sync_file_range(descriptor_, static_cast<off_t>(writeback_bytes_),
                          static_cast<off_t>(size_bytes_ - writeback_bytes_),
                          SYNC_FILE_RANGE_WRITE);
  writeback_bytes_ = size_bytes_;
}

Status PosixAppendFile::Sync() {
  ARROW_RETURN_NOT_OK(CheckUsable("sync"));
  int answer;
  do {
    answer = ::fdatasync(descriptor_);
  } while (answer != 0 && errno == EINTR);
  if (answer == 0) return Status::OK();
  // The kernel may have dropped the pages and would report success next time.
  broken_ = true;
  return ErrnoError("sync", path_, errno);
}

Status PosixAppendFile::Close() {
  if (descriptor_ < 0) return Status::OK();
  const int answer = ::close(std::exchange(descriptor_, -1));
  // Linux closes the descriptor even when interrupted.
  if (answer == 0 || errno == EINTR) return Status::OK();
  return ErrnoError("close", path_, errno);
}

}  // namespace fletching::io
