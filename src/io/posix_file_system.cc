// The real disk. Declared in io/file.h.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "io/file.h"
#include "io/posix_append_file.h"
#include "io/posix_error.h"
#include "io/posix_folder_lock.h"
#include "io/posix_mapped_file.h"

namespace fletching::io {
namespace {

// Reads the entries of an open folder; 0 or errno.
int ReadEntries(DIR* folder, std::vector<FolderEntry>* entries) {
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(folder);
    if (entry == nullptr) return errno;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat facts;
    if (::fstatat(::dirfd(folder), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // removed since readdir saw it
      return errno;
    }
    const bool is_folder = S_ISDIR(facts.st_mode);
    entries->push_back({.name = std::string(name),
                        .is_folder = is_folder,
                        .size_bytes = is_folder ? 0 : static_cast<uint64_t>(facts.st_size)});
  }
}

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<AppendFile>> Create(const std::string& path) override {
    return PosixAppendFile::Create(path);
  }

  Result<std::shared_ptr<MappedFile>> Map(const std::string& path) override {
    return PosixMappedFile::Open(path);
  }

  Status Rename(const std::string& source, const std::string& target) override {
    if (::rename(source.c_str(), target.c_str()) == 0) return Status::OK();
    return ErrnoError("rename " + source + " to", target, errno);
  }

  Status Link(const std::string& source, const std::string& target) override {
    if (::link(source.c_str(), target.c_str()) == 0) return Status::OK();
    return ErrnoError("link " + source + " to", target, errno);
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0) return Status::OK();
    return ErrnoError("remove", path, errno);
  }

  Status RemoveFolder(const std::string& path) override {
    std::error_code error;
    const auto facts = std::filesystem::symlink_status(path, error);
    if (std::filesystem::exists(facts) && !std::filesystem::is_directory(facts)) {
      return ErrnoError("remove folder", path, ENOTDIR);
    }
    const std::uintmax_t removed_count = std::filesystem::remove_all(path, error);
    if (error) return ErrnoError("remove folder", path, error.value());
    if (removed_count == 0) return ErrnoError("remove folder", path, ENOENT);
    return Status::OK();
  }

  Status MakeFolder(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (!error && !std::filesystem::is_directory(path, error)) {
      return ErrnoError("make folder", path, EEXIST);
    }
    if (!error) return Status::OK();
    return ErrnoError("make folder", path, error.value());
  }

  Status SyncFolder(const std::string& path) override {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return ErrnoError("sync folder", path, errno);
    int answer;
    do {
      answer = ::fsync(descriptor);
    } while (answer != 0 && errno == EINTR);
    const int error = errno;
    ::close(descriptor);
    if (answer == 0) return Status::OK();
    return ErrnoError("sync folder", path, error);
  }

  Result<std::vector<FolderEntry>> List(const std::string& path) override {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) return ErrnoError("list", path, errno);
    std::vector<FolderEntry> entries;
    const int error = ReadEntries(folder, &entries);
    ::closedir(folder);
    if (error != 0) return ErrnoError("list", path, error);
    std::sort(entries.begin(), entries.end(),
              [](const FolderEntry& a, const FolderEntry& b) { return a.name < b.name; });
    return entries;
  }

  bool Exists(const std::string& path) override {
    struct stat facts;
    return ::stat(path.c_str(), &facts) == 0;
  }

  std::string RealPath(const std::string& path) override {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    const std::filesystem::path real = std::filesystem::weakly_canonical(absolute, error);
    std::string text = (error ? absolute.lexically_normal() : real).string();
    while (text.size() > 1 && text.ends_with('/')) text.pop_back();
    return text;
  }

  Result<std::unique_ptr<FolderLock>> Lock(const std::string& path) override {
    return PosixFolderLock::Acquire(path);
  }
};

}  // namespace

FileSystem* PosixFileSystem() {
  static RealFileSystem file_system;
  return &file_system;
}

}  // namespace fletching::io
