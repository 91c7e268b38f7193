#include "store/partial_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sstream>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/check.h"
#include "base/checksum.h"
#include "io/file.h"
#include "io/posix_error.h"
#include "store/posix_io.h"

namespace fletching::store {
namespace {

// One line per chunk, so this is the state of a file of some 100,000 chunks; more is none of ours.
constexpr size_t kStateBytesMax = 4 << 20;

// Locks the file behind `path` itself: another may have renamed it between open and flock.
Result<int> OpenLocked(const std::string& path) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) return io::ErrnoError("create", path, errno);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(descriptor);
      if (error != EWOULDBLOCK) return io::ErrnoError("lock", path, error);
      return MakeError(ErrorCode::kLocked, "somebody else downloads to " + path + " now");
    }
    struct stat ours;
    struct stat there;
    if (::fstat(descriptor, &ours) == 0 && ::stat(path.c_str(), &there) == 0 &&
        ours.st_ino == there.st_ino) {
      return descriptor;
    }
    ::close(descriptor);
  }
}

Status TakeSpace(int descriptor, const std::string& path, uint64_t size_bytes) {
  if (::ftruncate(descriptor, 0) != 0) return io::ErrnoError("cut", path, errno);
  const int error =
      size_bytes == 0 ? 0 : ::posix_fallocate(descriptor, 0, static_cast<off_t>(size_bytes));
  if (error != 0) {
    (void)!::ftruncate(descriptor, 0);  // gives back what it took
    return io::ErrnoError("take " + std::to_string(size_bytes) + " bytes for", path, error);
  }
  return Status::OK();
}

}  // namespace

PartialFile::PartialFile(std::string path, uint64_t size_bytes, uint64_t chunk_bytes)
    : path_(std::move(path)),
      part_path_(path_ + ".part"),
      state_path_(part_path_ + ".state"),
      size_bytes_(size_bytes),
      chunk_bytes_(chunk_bytes),
      has_chunk_((size_bytes + chunk_bytes - 1) / chunk_bytes) {}

PartialFile::~PartialFile() {
  if (state_ >= 0) ::close(state_);
  if (part_ >= 0) ::close(part_);
}

Result<std::unique_ptr<PartialFile>> PartialFile::Open(const std::string& path, uint64_t size_bytes,
                                                       uint64_t chunk_bytes,
                                                       const std::string& etag) {
  FLETCHING_CHECK(chunk_bytes > 0);
  std::unique_ptr<PartialFile> file(new PartialFile(path, size_bytes, chunk_bytes));
  ARROW_RETURN_NOT_OK(file->OpenFiles("fletching-part 1 " + std::to_string(size_bytes) + " " +
                                      std::to_string(chunk_bytes) + " " + etag + "\n"));
  return file;
}

Status PartialFile::OpenFiles(const std::string& head) {
  ARROW_ASSIGN_OR_RAISE(part_, OpenLocked(part_path_));
  state_ = ::open(state_path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (state_ < 0) return io::ErrnoError("create", state_path_, errno);
  struct stat facts;
  if (::fstat(state_, &facts) != 0) return io::ErrnoError("look at", state_path_, errno);
  const auto state_bytes = static_cast<size_t>(facts.st_size);
  if (::fstat(part_, &facts) != 0) return io::ErrnoError("look at", part_path_, errno);
  if (state_bytes < head.size() || state_bytes > kStateBytesMax ||
      static_cast<uint64_t>(facts.st_size) != size_bytes_) {
    return BeginAnew(head);
  }
  std::string state(state_bytes, '\0');
  ARROW_RETURN_NOT_OK(ReadFully(state_, state_path_, 0, AsWritableBytes(&state)));
  return TakeOver(state, head);
}

Status PartialFile::BeginAnew(const std::string& head) {
  // Before the bytes, so that no state ever speaks of a file that is not its own.
  if (::ftruncate(state_, 0) != 0) return io::ErrnoError("cut", state_path_, errno);
  const Status taken = TakeSpace(part_, part_path_, size_bytes_);
  if (!taken.ok()) {
    ::unlink(state_path_.c_str());
    ::unlink(part_path_.c_str());
    return taken;
  }
  return WriteFully(state_, state_path_, AsBytes(head));
}

Status PartialFile::TakeOver(const std::string& state, const std::string& head) {
  if (!state.starts_with(head)) return BeginAnew(head);
  std::istringstream lines(state.substr(head.size()));
  std::vector<uint8_t> bytes;
  std::string kept = head;
  std::string line;
  while (std::getline(lines, line) && !lines.eof()) {  // one without its end was being written
    unsigned long long index = 0;
    unsigned long long checksum = 0;
    if (std::sscanf(line.c_str(), "%llu %llx", &index, &checksum) != 2) continue;
    if (index >= chunk_count() || has_chunk_[index]) continue;
    bytes.resize(ChunkBytes(index));
    ARROW_RETURN_NOT_OK(ReadFully(part_, part_path_, index * chunk_bytes_, bytes));
    if (Checksum(bytes) != checksum) continue;
    has_chunk_[index] = true;
    kept.append(line).append("\n");
  }
  if (kept == state) return Status::OK();
  if (::ftruncate(state_, 0) != 0) return io::ErrnoError("cut", state_path_, errno);
  return WriteFully(state_, state_path_, AsBytes(kept));
}

uint64_t PartialFile::ChunkBytes(uint64_t index) const {
  return std::min(chunk_bytes_, size_bytes_ - index * chunk_bytes_);
}

bool PartialFile::HasChunk(uint64_t index) const {
  const std::lock_guard lock(mutex_);
  return has_chunk_[index];
}

Status PartialFile::WriteChunk(uint64_t index, ByteSpan bytes) {
  FLETCHING_CHECK(index < chunk_count() && bytes.size() == ChunkBytes(index));
  ARROW_RETURN_NOT_OK(WriteFullyAt(part_, part_path_, index * chunk_bytes_, bytes));
  (void)::sync_file_range(part_, static_cast<off_t>(index * chunk_bytes_),
                          static_cast<off_t>(bytes.size()), SYNC_FILE_RANGE_WRITE);
  char line[64];
  const int length =
      std::snprintf(line, sizeof(line), "%llu %016llx\n", static_cast<unsigned long long>(index),
                    static_cast<unsigned long long>(Checksum(bytes)));
  const std::lock_guard lock(mutex_);
  if (chunk_count() > 1) {
    const std::string_view text(line, static_cast<size_t>(length));
    ARROW_RETURN_NOT_OK(WriteFully(state_, state_path_, AsBytes(text)));
  }
  has_chunk_[index] = true;
  return Status::OK();
}

Status PartialFile::Finish(bool sync) {
  FLETCHING_CHECK(std::find(has_chunk_.begin(), has_chunk_.end(), false) == has_chunk_.end());
  if (sync && ::fdatasync(part_) != 0) return io::ErrnoError("sync", part_path_, errno);
  io::FileSystem* const files = io::PosixFileSystem();
  ARROW_RETURN_NOT_OK(files->Rename(part_path_, path_));
  ::unlink(state_path_.c_str());
  return sync ? files->SyncFolder(FolderOf(path_)) : Status::OK();
}

}  // namespace fletching::store
