#include "store/file_store.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/ignore_error.h"
#include "io/file.h"
#include "io/posix_error.h"
#include "store/folder_walk.h"
#include "store/posix_io.h"

namespace fletching::store {
namespace {

constexpr std::chrono::milliseconds kLockPoll{2};
constexpr size_t kCopyBytes = 8 << 20;

Status Replaced(const std::string& path, const std::string& etag) {
  return MakeError(
      ErrorCode::kAlreadyExists,
      "cannot use " + path + ": it was replaced: the file of etag " + etag + " is there no more");
}

// An open file and what it is; the bytes read from it are of this one, whatever is renamed.
struct OpenObject {
  std::unique_ptr<OpenFile> file;
  ObjectInfo info;
};

Result<OpenObject> OpenForRead(const std::string& key, const std::string& path,
                               const std::string& if_match) {
  auto file = std::make_unique<OpenFile>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file->get() < 0) return io::ErrnoError("open", path, errno);
  struct stat facts;
  if (::fstat(file->get(), &facts) != 0) return io::ErrnoError("look at", path, errno);
  if (!S_ISREG(facts.st_mode)) return io::ErrnoError("open", path, ENOENT);
  ObjectInfo info = InfoOfFile(key, facts);
  if (!if_match.empty() && if_match != info.etag) return Replaced(path, if_match);
  return OpenObject{std::move(file), std::move(info)};
}

}  // namespace

// Held while a name changes hands. By fcntl, because NFS knows it; of the open file, so threads
// exclude each other as processes do.
class FileStore::Lock {
 public:
  explicit Lock(int descriptor) : file_(descriptor) {}
  int descriptor() const { return file_.get(); }

 private:
  const OpenFile file_;
};

FileStore::FileStore(std::string folder, const ObjectStoreOptions& options)
    : folder_(std::move(folder)), options_(options), url_("file://" + folder_) {}

Result<std::string> FileStore::PathOf(const std::string& key) const {
  bool fits = !key.empty() && key.find('\0') == std::string::npos;
  for (size_t begin = 0; fits && begin <= key.size();) {
    const size_t end = std::min(key.find('/', begin), key.size());
    const std::string_view part = std::string_view(key).substr(begin, end - begin);
    fits = !part.empty() && part != "." && part != ".." && !part.starts_with(kOwnNames);
    begin = end + 1;
  }
  if (!fits) {
    return InvalidArgument("'" + key + "' cannot be a key in " + url_ +
                           ": its parts between '/' may not be empty, '.', '..' or begin with " +
                           kOwnNames);
  }
  return folder_ + "/" + key;
}

Result<std::unique_ptr<FileStore::Lock>> FileStore::TakeLock(const CallOptions& call) const {
  const std::string path = folder_ + "/" + kOwnNames + "lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return io::ErrnoError("open", path, errno);
  auto lock = std::make_unique<Lock>(descriptor);
  const auto wait =
      std::chrono::milliseconds(call.deadline_ms != 0 ? call.deadline_ms : options_.deadline_ms);
  const auto deadline = std::chrono::steady_clock::now() + wait;
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  while (::fcntl(descriptor, F_OFD_SETLK, &whole) != 0) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      return io::ErrnoError("lock", path, errno);
    }
    if (call.stop.stop_requested()) return Cancelled("the caller stopped waiting for " + path);
    if (std::chrono::steady_clock::now() >= deadline) {
      return MakeError(ErrorCode::kDeadline, "another writer has held " + path + " for " +
                                                 std::to_string(wait.count()) + " ms");
    }
    std::this_thread::sleep_for(kLockPoll);
  }
  return lock;
}

Result<ObjectInfo> FileStore::Head(const std::string& key, const CallOptions& /*call*/) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  struct stat facts;
  if (::stat(path.c_str(), &facts) != 0) return io::ErrnoError("look at", path, errno);
  if (!S_ISREG(facts.st_mode)) return io::ErrnoError("look at", path, ENOENT);
  return InfoOfFile(key, facts);
}

Result<ObjectBytes> FileStore::Get(const std::string& key, const GetOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  if (options.size_bytes == 0) return InvalidArgument("cannot read no bytes of " + path);
  ARROW_ASSIGN_OR_RAISE(OpenObject object, OpenForRead(key, path, options.if_match));
  const uint64_t size_bytes = object.info.size_bytes;
  if (options.offset_bytes > size_bytes || (options.offset_bytes == size_bytes && size_bytes > 0)) {
    return InvalidArgument("cannot read " + path + ": it ends before byte " +
                           std::to_string(options.offset_bytes));
  }
  const uint64_t bytes = std::min(options.size_bytes, size_bytes - options.offset_bytes);
  if (bytes > options.bytes_max) {
    return TooLarge("cannot read " + path + ": " + std::to_string(bytes) + " bytes, where " +
                    std::to_string(options.bytes_max) + " at most are wanted");
  }
  ObjectBytes got{.bytes = std::vector<uint8_t>(bytes), .info = std::move(object.info)};
  ARROW_RETURN_NOT_OK(ReadFully(object.file->get(), path, options.offset_bytes, got.bytes));
  return got;
}

Status FileStore::GetRanges(const std::string& key, const std::string& if_match,
                            std::span<const RangeRead> ranges, const CallOptions& call) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  if (if_match.empty()) return InvalidArgument("ranges of " + path + " are read without an etag");
  ARROW_ASSIGN_OR_RAISE(const OpenObject object, OpenForRead(key, path, if_match));
  for (const RangeRead& range : ranges) {
    if (call.stop.stop_requested()) return Cancelled("the caller stopped it");
    if (range.offset_bytes > object.info.size_bytes ||
        range.target.size() > object.info.size_bytes - range.offset_bytes) {
      return InvalidArgument("cannot read " + path + ": bytes up to " +
                             std::to_string(range.offset_bytes + range.target.size()) +
                             " are wanted of " + std::to_string(object.info.size_bytes));
    }
    ARROW_RETURN_NOT_OK(ReadFully(object.file->get(), path, range.offset_bytes, range.target));
  }
  return Status::OK();
}

Result<ObjectInfo> FileStore::GetToFile(const std::string& key, const std::string& path,
                                        const DownloadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const std::string source, PathOf(key));
  ARROW_ASSIGN_OR_RAISE(const OpenObject object, OpenForRead(key, source, options.if_match));
  ARROW_ASSIGN_OR_RAISE(const std::string beside, CopyBeside(path, source, options.call));
  const Result<ObjectInfo> after = Head(key, options.call);
  if (!after.ok() || after->etag != object.info.etag) {
    ::unlink(beside.c_str());
    return after.ok() ? Replaced(source, object.info.etag) : after.status();
  }
  ARROW_RETURN_NOT_OK(io::PosixFileSystem()->Rename(beside, path));
  ARROW_RETURN_NOT_OK(io::PosixFileSystem()->SyncFolder(FolderOf(path)));
  return object.info;
}

Result<std::string> FileStore::WriteBeside(const std::string& path, ByteSpan bytes) const {
  ARROW_RETURN_NOT_OK(io::PosixFileSystem()->MakeFolder(FolderOf(path)));
  std::string beside = FolderOf(path) + "/" + kOwnNames + std::to_string(::getpid()) + "-" +
                       std::to_string(std::random_device{}());
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<io::AppendFile> file,
                        io::PosixFileSystem()->Create(beside));
  Status status = file->Append(bytes);
  if (status.ok()) status = file->Sync();
  if (status.ok()) status = file->Close();
  if (status.ok()) return beside;
  ::unlink(beside.c_str());
  return status;
}

Result<std::string> FileStore::CopyBeside(const std::string& path, const std::string& source,
                                          const CallOptions& call) const {
  const OpenFile from(::open(source.c_str(), O_RDONLY | O_CLOEXEC));
  if (from.get() < 0) return io::ErrnoError("open", source, errno);
  ARROW_RETURN_NOT_OK(io::PosixFileSystem()->MakeFolder(FolderOf(path)));
  std::string beside = FolderOf(path) + "/" + kOwnNames + std::to_string(::getpid()) + "-" +
                       std::to_string(std::random_device{}());
  const auto copy = [&]() -> Status {
    const OpenFile to(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (to.get() < 0) return io::ErrnoError("create", beside, errno);
    for (;;) {
      if (call.stop.stop_requested()) return Cancelled("the caller stopped copying " + source);
      const ssize_t copied =
          ::copy_file_range(from.get(), nullptr, to.get(), nullptr, kCopyBytes, 0);
      if (copied == 0) break;
      if (copied > 0 || errno == EINTR) continue;
      if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) {
        return io::ErrnoError("copy " + source + " to", beside, errno);
      }
      // Between two file systems, as an older kernel has it.
      std::vector<uint8_t> bytes(kCopyBytes);
      const ssize_t got = ::read(from.get(), bytes.data(), bytes.size());
      if (got < 0) return io::ErrnoError("read", source, errno);
      if (got == 0) break;
      ARROW_RETURN_NOT_OK(
          WriteFully(to.get(), beside, ByteSpan(bytes).first(static_cast<size_t>(got))));
    }
    if (::fdatasync(to.get()) != 0) return io::ErrnoError("sync", beside, errno);
    return Status::OK();
  };
  const Status status = copy();
  if (status.ok()) return beside;
  ::unlink(beside.c_str());
  return status;
}

Result<ObjectInfo> FileStore::PutInPlace(const std::string& key, const std::string& path,
                                         const std::string& beside, const std::string* etag,
                                         const CallOptions& call) {
  const auto put = [&]() -> Result<ObjectInfo> {
    ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Lock> lock, TakeLock(call));
    if (etag != nullptr) {
      ARROW_ASSIGN_OR_RAISE(const ObjectInfo there, Head(key, call));
      if (there.etag != *etag) return Replaced(path, *etag);
    }
    ARROW_RETURN_NOT_OK(io::PosixFileSystem()->Rename(beside, path));
    return Head(key, call);
  };
  const Result<ObjectInfo> info = put();
  if (!info.ok()) {
    ::unlink(beside.c_str());
    return info;
  }
  ARROW_RETURN_NOT_OK(io::PosixFileSystem()->SyncFolder(FolderOf(path)));
  return info;
}

Result<ObjectInfo> FileStore::Put(const std::string& key, ByteSpan bytes, const CallOptions& call) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  ARROW_ASSIGN_OR_RAISE(const std::string beside, WriteBeside(path, bytes));
  return PutInPlace(key, path, beside, nullptr, call);
}

Result<ObjectInfo> FileStore::PutFile(const std::string& key, const std::string& source,
                                      const CallOptions& call) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  ARROW_ASSIGN_OR_RAISE(const std::string beside, CopyBeside(path, source, call));
  return PutInPlace(key, path, beside, nullptr, call);
}

Result<ObjectInfo> FileStore::PutIfMatch(const std::string& key, ByteSpan bytes,
                                         const std::string& etag, const CallOptions& call) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  ARROW_ASSIGN_OR_RAISE(const std::string beside, WriteBeside(path, bytes));
  return PutInPlace(key, path, beside, &etag, call);
}

Result<ObjectInfo> FileStore::PutIfAbsent(const std::string& key, ByteSpan bytes,
                                          const CallOptions& call) {
  ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
  ARROW_ASSIGN_OR_RAISE(const std::string beside, WriteBeside(path, bytes));
  const int answer = ::link(beside.c_str(), path.c_str());
  const int error = errno;
  // Over NFS the answer may be that of a repeated call; two names tell that ours has won.
  struct stat facts;
  const bool won = answer == 0 || (::stat(beside.c_str(), &facts) == 0 && facts.st_nlink == 2);
  ::unlink(beside.c_str());
  if (!won) return io::ErrnoError("create", path, error);
  ARROW_RETURN_NOT_OK(io::PosixFileSystem()->SyncFolder(FolderOf(path)));
  return Head(key, call);
}

Status FileStore::Delete(std::span<const std::string> keys, const CallOptions& call) {
  for (const std::string& key : keys) {
    ARROW_ASSIGN_OR_RAISE(const std::string path, PathOf(key));
    if (!io::PosixFileSystem()->Exists(path)) continue;
    ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Lock> lock, TakeLock(call));
    const Status removed = io::PosixFileSystem()->Remove(path);
    if (!removed.ok() && CodeOf(removed) != ErrorCode::kNotFound) return removed;
    ARROW_RETURN_NOT_OK(io::PosixFileSystem()->SyncFolder(FolderOf(path)));
  }
  return Status::OK();
}

Result<ObjectPage> FileStore::List(const std::string& prefix, const ListOptions& options) {
  return ListFolder(folder_, prefix, options);
}

}  // namespace fletching::store
