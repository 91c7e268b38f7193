#include "io/posix_folder_lock.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/posix_error.h"

namespace fletching::io {
namespace {

// Descriptors of the locks this process holds. A forked child gets copies of them, and with them a
// share in the lock; it closes its copies before it does anything else.
struct HeldLocks {
  std::mutex mutex;
  std::map<const FolderLock*, int> descriptors;
};

HeldLocks& Held() {
  // Never destroyed: a lock may be released while the process winds down.
  static HeldLocks* const held = [] {
    auto* made = new HeldLocks;
    ::pthread_atfork([] { Held().mutex.lock(); }, [] { Held().mutex.unlock(); },
                     [] {
                       for (const auto& [lock, descriptor] : Held().descriptors) {
                         ::close(descriptor);
                       }
                       Held().descriptors.clear();
                       Held().mutex.unlock();
                     });
    return made;
  }();
  return *held;
}

// The pid written in the lock file, or 0 when it holds none.
pid_t ReadHolder(int descriptor) {
  std::array<char, 32> text;
  const ssize_t got = ::pread(descriptor, text.data(), text.size(), 0);
  pid_t holder = 0;
  if (got > 0) std::from_chars(text.data(), text.data() + got, holder);
  return holder;
}

Status LockedBy(const std::string& path, int descriptor) {
  // Between taking the lock and writing its pid the holder needs a moment, during which the file is
  // empty or names a process that was killed.
  pid_t holder = ReadHolder(descriptor);
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (holder > 0 && (::kill(holder, 0) == 0 || errno == EPERM)) break;
    const timespec pause{.tv_sec = 0, .tv_nsec = 2'000'000};
    ::nanosleep(&pause, nullptr);
    holder = ReadHolder(descriptor);
  }
  std::string who = "another process";
  if (holder == ::getpid()) {
    who = "this process itself (pid " + std::to_string(holder) + ")";
  } else if (holder > 0) {
    who = "the process with pid " + std::to_string(holder);
  }
  return MakeError(ErrorCode::kLocked,
                   path + " is locked by " + who + ": one writer at a time may open this folder");
}

// Whether `path` still names the file behind `descriptor`: a lock on a removed file protects
// nothing.
bool IsStillThere(const std::string& path, int descriptor) {
  struct stat opened;
  struct stat named;
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Status WriteHolder(const std::string& path, int descriptor) {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor, 0) != 0) return ErrnoError("write", path, errno);
  const ssize_t written = ::pwrite(descriptor, text.data(), text.size(), 0);
  if (written == static_cast<ssize_t>(text.size())) return Status::OK();
  return ErrnoError("write", path, written < 0 ? errno : EIO);
}

// The descriptor of the locked file.
Result<int> TakeLock(const std::string& path) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0 && errno == EINTR) continue;
    if (descriptor < 0) return ErrnoError("lock", path, errno);
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const Status status =
          error == EWOULDBLOCK ? LockedBy(path, descriptor) : ErrnoError("lock", path, error);
      ::close(descriptor);
      if (error == EINTR) continue;
      return status;
    }
    if (IsStillThere(path, descriptor)) return descriptor;
    ::close(descriptor);
  }
}

}  // namespace

Result<std::unique_ptr<FolderLock>> PosixFolderLock::Acquire(const std::string& path) {
  HeldLocks& held = Held();
  // Held throughout, so that no fork can happen between opening the file and listing it.
  const std::lock_guard guard(held.mutex);
  ARROW_ASSIGN_OR_RAISE(const int descriptor, TakeLock(path));
  if (const Status status = WriteHolder(path, descriptor); !status.ok()) {
    ::close(descriptor);
    return status;
  }
  std::unique_ptr<FolderLock> lock(new PosixFolderLock);
  held.descriptors.emplace(lock.get(), descriptor);
  return lock;
}

PosixFolderLock::~PosixFolderLock() {
  HeldLocks& held = Held();
  const std::lock_guard guard(held.mutex);
  const auto found = held.descriptors.find(this);
  if (found == held.descriptors.end()) return;  // we are a forked child and closed it already
  (void)!::ftruncate(found->second, 0);
  ::close(found->second);
  held.descriptors.erase(found);
}

}  // namespace fletching::io
