#include "io/sim_file_system.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <mutex>
#include <set>
#include <unistd.h>
#include <utility>

#include "io/posix_error.h"
#include "io/sim_tree.h"

namespace fletching::io {

struct SimFileSystem::State {
  std::mutex mutex;
  SimTree tree;
  std::set<std::string> locked_paths;
  uint64_t total_bytes_max = std::numeric_limits<uint64_t>::max();
};

namespace {

using State = SimFileSystem::State;

class SimAppendFile final : public AppendFile {
 public:
  SimAppendFile(std::shared_ptr<State> state, std::string path, std::shared_ptr<SimFile> file)
      : state_(std::move(state)), path_(std::move(path)), file_(std::move(file)) {}

  using AppendFile::Append;
  Status Append(std::span<const ByteSpan> pieces) override {
    const std::lock_guard guard(state_->mutex);
    if (closed_) return ErrnoError("append to", path_, EBADF);
    uint64_t added_bytes = 0;
    for (ByteSpan piece : pieces) added_bytes += piece.size();
    const uint64_t growth_bytes =
        std::max<uint64_t>(file_->bytes->size(), size_bytes_ + added_bytes) - file_->bytes->size();
    if (state_->total_bytes_max != std::numeric_limits<uint64_t>::max() &&
        state_->tree.TotalBytes() + growth_bytes > state_->total_bytes_max) {
      return ErrnoError("append to", path_, ENOSPC);
    }
    Own();
    SimBytes& bytes = *file_->bytes;
    bytes.resize(std::max(bytes.size(), size_bytes_ + added_bytes));
    for (ByteSpan piece : pieces) {
      std::copy(piece.begin(), piece.end(), bytes.begin() + static_cast<int64_t>(size_bytes_));
      size_bytes_ += piece.size();
    }
    return Status::OK();
  }

  Status Reserve(uint64_t reserved_bytes) override {
    const std::lock_guard guard(state_->mutex);
    if (closed_) return ErrnoError("reserve space in", path_, EBADF);
    const uint64_t wanted = size_bytes_ + reserved_bytes;
    if (wanted <= file_->bytes->size()) return Status::OK();
    const uint64_t added_bytes = wanted - file_->bytes->size();
    if (state_->total_bytes_max != std::numeric_limits<uint64_t>::max() &&
        state_->tree.TotalBytes() + added_bytes > state_->total_bytes_max) {
      return ErrnoError("reserve space in", path_, ENOSPC);
    }
    Own();
    file_->bytes->resize(wanted);
    return Status::OK();
  }

  Status ReadAt(uint64_t offset_bytes, std::span<uint8_t> target) override {
    const std::lock_guard guard(state_->mutex);
    if (offset_bytes > size_bytes_ || target.size() > size_bytes_ - offset_bytes) {
      return Unavailable("cannot read " + path_ + ": it has " + std::to_string(size_bytes_) +
                         " bytes");
    }
    if (!target.empty()) {
      std::memcpy(target.data(), file_->bytes->data() + offset_bytes, target.size());
    }
    return Status::OK();
  }

  void StartWriteback() override {}

  Status Sync() override {
    const std::lock_guard guard(state_->mutex);
    if (closed_) return ErrnoError("sync", path_, EBADF);
    file_->synced_bytes = size_bytes_;
    return Status::OK();
  }

  Status Close() override {
    const std::lock_guard guard(state_->mutex);
    closed_ = true;
    return Status::OK();
  }

  uint64_t size_bytes() const override {
    const std::lock_guard guard(state_->mutex);
    return size_bytes_;
  }

 private:
  // Before the bytes change: a mapping, or a tree after a crash, goes on with the old ones.
  void Own() {
    if (!file_->lent) return;
    file_->bytes = std::make_shared<SimBytes>(*file_->bytes);
    file_->lent = false;
  }

  const std::shared_ptr<State> state_;
  const std::string path_;
  const std::shared_ptr<SimFile> file_;
  uint64_t size_bytes_ = 0;
  bool closed_ = false;
};

class SimMappedFile final : public MappedFile {
 public:
  SimMappedFile(std::string path, std::shared_ptr<const SimBytes> bytes)
      : path_(std::move(path)), bytes_(std::move(bytes)) {}
  ByteSpan bytes() const override { return {bytes_->data(), bytes_->size()}; }
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const std::shared_ptr<const SimBytes> bytes_;
};

class SimFolderLock final : public FolderLock {
 public:
  SimFolderLock(std::shared_ptr<State> state, std::string path)
      : state_(std::move(state)), path_(std::move(path)) {}
  ~SimFolderLock() override {
    const std::lock_guard guard(state_->mutex);
    state_->locked_paths.erase(path_);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string path_;
};

}  // namespace

SimFileSystem::SimFileSystem() : state_(std::make_shared<State>()) {}
SimFileSystem::~SimFileSystem() = default;

std::unique_ptr<SimFileSystem> SimFileSystem::Crash(uint64_t seed) const {
  auto after = std::make_unique<SimFileSystem>();
  const std::lock_guard guard(state_->mutex);
  after->state_->tree = state_->tree.Crash(seed);
  return after;
}

void SimFileSystem::SetCapacity(uint64_t total_bytes_max) {
  const std::lock_guard guard(state_->mutex);
  state_->total_bytes_max = total_bytes_max;
}

std::vector<std::string> SimFileSystem::Describe() const {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.Describe();
}

Result<std::unique_ptr<AppendFile>> SimFileSystem::Create(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  if (state_->tree.Find(path).exists()) return ErrnoError("create", path, EEXIST);
  auto file = std::make_shared<SimFile>();
  ARROW_RETURN_NOT_OK(state_->tree.Set(path, {.file = file, .folder = nullptr}));
  return std::make_unique<SimAppendFile>(state_, path, std::move(file));
}

Result<std::shared_ptr<MappedFile>> SimFileSystem::Map(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const SimNode node = state_->tree.Find(path);
  if (!node.exists()) return ErrnoError("open", path, ENOENT);
  if (node.folder != nullptr) return ErrnoError("map", path, EISDIR);
  node.file->lent = true;
  return std::make_shared<SimMappedFile>(path, node.file->bytes);
}

Status SimFileSystem::Rename(const std::string& source, const std::string& target) {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.Rename(source, target);
}

Status SimFileSystem::Link(const std::string& source, const std::string& target) {
  const std::lock_guard guard(state_->mutex);
  const SimNode node = state_->tree.Find(source);
  if (!node.exists()) return ErrnoError("link", source, ENOENT);
  if (node.folder != nullptr) return ErrnoError("link", source, EPERM);
  if (state_->tree.Find(target).exists()) return ErrnoError("link to", target, EEXIST);
  return state_->tree.Set(target, node);
}

Status SimFileSystem::Remove(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const SimNode node = state_->tree.Find(path);
  if (!node.exists()) return ErrnoError("remove", path, ENOENT);
  if (node.folder != nullptr) return ErrnoError("remove", path, EISDIR);
  return state_->tree.Set(path, {});
}

Status SimFileSystem::RemoveFolder(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.RemoveFolder(path);
}

Status SimFileSystem::MakeFolder(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.MakeFolder(path);
}

Status SimFileSystem::SyncFolder(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.SyncFolder(path);
}

Result<std::vector<FolderEntry>> SimFileSystem::List(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  const SimNode node = state_->tree.Find(path);
  if (!node.exists()) return ErrnoError("list", path, ENOENT);
  if (node.folder == nullptr) return ErrnoError("list", path, ENOTDIR);
  std::vector<FolderEntry> entries;
  for (const auto& [name, entry] : node.folder->names) {
    const uint64_t size_bytes = entry.file != nullptr ? entry.file->bytes->size() : 0;
    entries.push_back(
        {.name = name, .is_folder = entry.folder != nullptr, .size_bytes = size_bytes});
  }
  return entries;
}

bool SimFileSystem::Exists(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  return state_->tree.Find(path).exists();
}

std::string SimFileSystem::RealPath(const std::string& path) {
  std::string real = std::filesystem::path("/" + path).lexically_normal().string();
  while (real.size() > 1 && real.ends_with('/')) real.pop_back();
  return real;
}

Result<std::unique_ptr<FolderLock>> SimFileSystem::Lock(const std::string& path) {
  const std::lock_guard guard(state_->mutex);
  if (!state_->tree.Find(path).exists()) {
    ARROW_RETURN_NOT_OK(
        state_->tree.Set(path, {.file = std::make_shared<SimFile>(), .folder = nullptr}));
  }
  if (!state_->locked_paths.insert(path).second) {
    return MakeError(ErrorCode::kLocked, path + " is locked by this process itself (pid " +
                                             std::to_string(::getpid()) + ")");
  }
  return std::make_unique<SimFolderLock>(state_, path);
}

}  // namespace fletching::io
