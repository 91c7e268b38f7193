#include "io/fault_file_system.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fletching::io {
namespace {

constexpr size_t kLogRecordsMax = 4096;

// The first `prefix_bytes` bytes of `pieces`.
std::vector<ByteSpan> Prefix(std::span<const ByteSpan> pieces, uint64_t prefix_bytes) {
  std::vector<ByteSpan> prefix;
  for (ByteSpan piece : pieces) {
    const uint64_t taken_bytes = std::min<uint64_t>(piece.size(), prefix_bytes);
    prefix.push_back(piece.first(taken_bytes));
    prefix_bytes -= taken_bytes;
  }
  return prefix;
}

}  // namespace

class FaultAppendFile final : public AppendFile {
 public:
  FaultAppendFile(FaultFileSystem* owner, std::string path, std::unique_ptr<AppendFile> inner)
      : owner_(owner), path_(std::move(path)), inner_(std::move(inner)) {}

  using AppendFile::Append;
  Status Append(std::span<const ByteSpan> pieces) override {
    const auto verdict = owner_->Judge(IoCall::kAppend, path_);
    ARROW_RETURN_NOT_OK(broken_);
    if (!verdict.spoil) return inner_->Append(pieces);
    if (verdict.effect == FaultEffect::kFailAfter) {
      ARROW_RETURN_NOT_OK(inner_->Append(pieces));
      return Break(verdict.status);
    }
    if (verdict.append_prefix_bytes >= 0) {
      const auto prefix_bytes = static_cast<uint64_t>(verdict.append_prefix_bytes);
      ARROW_RETURN_NOT_OK(inner_->Append(std::span<const ByteSpan>(Prefix(pieces, prefix_bytes))));
      return Break(verdict.status);
    }
    return verdict.status;
  }

  Status Reserve(uint64_t bytes) override {
    const auto verdict = owner_->Judge(IoCall::kReserve, path_);
    return verdict.spoil ? verdict.status : inner_->Reserve(bytes);
  }

  Status ReadAt(uint64_t offset_bytes, std::span<uint8_t> target) override {
    const auto verdict = owner_->Judge(IoCall::kReadAt, path_);
    return verdict.spoil ? verdict.status : inner_->ReadAt(offset_bytes, target);
  }

  void StartWriteback() override { inner_->StartWriteback(); }

  Status Sync() override {
    const auto verdict = owner_->Judge(IoCall::kSync, path_);
    ARROW_RETURN_NOT_OK(broken_);
    if (!verdict.spoil) return inner_->Sync();
    if (verdict.effect == FaultEffect::kSkip) return Status::OK();
    if (verdict.effect == FaultEffect::kFailAfter) ARROW_RETURN_NOT_OK(inner_->Sync());
    return Break(verdict.status);
  }

  Status Close() override {
    const auto verdict = owner_->Judge(IoCall::kClose, path_);
    const Status closed = inner_->Close();  // whatever is reported, the descriptor is gone
    return verdict.spoil && verdict.effect != FaultEffect::kSkip ? verdict.status : closed;
  }

  uint64_t size_bytes() const override { return inner_->size_bytes(); }

 private:
  Status Break(const Status& status) {
    broken_ = status;
    return status;
  }

  FaultFileSystem* const owner_;
  const std::string path_;
  const std::unique_ptr<AppendFile> inner_;
  Status broken_;  // what every later Append and Sync answers
};

// What a mapping is once its disk failed to read a page.
class UnreadableFile final : public MappedFile {
 public:
  UnreadableFile(std::string path, size_t bytes) : path_(std::move(path)), zeros_(bytes) {
    MarkFailed();
  }
  ByteSpan bytes() const override { return zeros_; }
  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const std::vector<uint8_t> zeros_;
};

std::string_view IoCallName(IoCall call) {
  constexpr std::string_view kNames[] = {
      "create", "append", "reserve",       "read_at",     "sync",        "close", "map", "rename",
      "link",   "remove", "remove_folder", "make_folder", "sync_folder", "list",  "lock"};
  return kNames[static_cast<size_t>(call)];
}

FaultFileSystem::FaultFileSystem(FileSystem* inner) : inner_(inner) {}

void FaultFileSystem::SetPlan(FaultPlan plan) {
  if (plan.effect == FaultEffect::kSkip) {
    FLETCHING_CHECK(!plan.kinds.empty());  // say which calls may be skipped
    for (IoCall call : plan.kinds) {
      FLETCHING_CHECK(call != IoCall::kCreate && call != IoCall::kAppend &&
                      call != IoCall::kReadAt && call != IoCall::kMap && call != IoCall::kList &&
                      call != IoCall::kLock);  // they give something back
    }
  }
  if (plan.effect == FaultEffect::kUnreadable) {
    FLETCHING_CHECK(plan.kinds == std::set<IoCall>{IoCall::kMap});
  }
  const std::lock_guard guard(mutex_);
  plan_ = std::move(plan);
  call_count_ = 0;
  fired_ = false;
}

void FaultFileSystem::SetObserver(std::function<void(const IoRecord&)> observer) {
  observer_ = std::move(observer);
}

uint64_t FaultFileSystem::call_count() const {
  const std::lock_guard guard(mutex_);
  return call_count_;
}

bool FaultFileSystem::fired() const {
  const std::lock_guard guard(mutex_);
  return fired_;
}

std::vector<IoRecord> FaultFileSystem::Log() const {
  const std::lock_guard guard(mutex_);
  return {log_.begin(), log_.end()};
}

std::string FaultFileSystem::LogText() const {
  const std::lock_guard guard(mutex_);
  uint64_t number = total_count_ - log_.size();
  std::string text;
  for (const IoRecord& record : log_) {
    text += std::to_string(++number) + " ";
    text.append(IoCallName(record.call)).append(" ").append(record.path);
    text += record.spoiled ? " SPOILED\n" : "\n";
  }
  return text;
}

FaultFileSystem::Verdict FaultFileSystem::Judge(IoCall call, const std::string& path) {
  IoRecord record{.call = call, .path = path, .spoiled = false};
  Verdict verdict;
  {
    const std::lock_guard guard(mutex_);
    const bool matches = (plan_.kinds.empty() || plan_.kinds.count(call) > 0) &&
                         path.find(plan_.path_contains) != std::string::npos;
    if (matches) {
      ++call_count_;
      record.spoiled = plan_.at > 0 &&
                       (call_count_ == plan_.at || (plan_.from_then_on && call_count_ > plan_.at));
    }
    if (record.spoiled) {
      fired_ = true;
      verdict = {.spoil = true,
                 .effect = plan_.effect,
                 .status = plan_.status,
                 .append_prefix_bytes = plan_.append_prefix_bytes};
    }
    ++total_count_;
    log_.push_back(record);
    if (log_.size() > kLogRecordsMax) log_.pop_front();
  }
  if (observer_) observer_(record);
  return verdict;
}

Status FaultFileSystem::Perform(IoCall call, const std::string& path,
                                const std::function<Status()>& inner) {
  const Verdict verdict = Judge(call, path);
  if (!verdict.spoil) return inner();
  switch (verdict.effect) {
    case FaultEffect::kSkip:
      return Status::OK();
    case FaultEffect::kFailAfter:
      ARROW_RETURN_NOT_OK(inner());
      return verdict.status;
    case FaultEffect::kUnreadable:
    case FaultEffect::kFail:
      break;
  }
  return verdict.status;
}

Result<std::unique_ptr<AppendFile>> FaultFileSystem::Create(const std::string& path) {
  std::unique_ptr<AppendFile> file;
  ARROW_RETURN_NOT_OK(
      Perform(IoCall::kCreate, path, [&] { return inner_->Create(path).Value(&file); }));
  return std::make_unique<FaultAppendFile>(this, path, std::move(file));
}

Result<std::shared_ptr<MappedFile>> FaultFileSystem::Map(const std::string& path) {
  const Verdict verdict = Judge(IoCall::kMap, path);
  if (verdict.spoil && verdict.effect == FaultEffect::kFail) return verdict.status;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<MappedFile> file, inner_->Map(path));
  if (!verdict.spoil) return file;
  if (verdict.effect == FaultEffect::kFailAfter) return verdict.status;
  return std::make_shared<UnreadableFile>(path, file->bytes().size());
}

Status FaultFileSystem::Rename(const std::string& source, const std::string& target) {
  return Perform(IoCall::kRename, target, [&] { return inner_->Rename(source, target); });
}

Status FaultFileSystem::Link(const std::string& source, const std::string& target) {
  return Perform(IoCall::kLink, target, [&] { return inner_->Link(source, target); });
}

Status FaultFileSystem::Remove(const std::string& path) {
  return Perform(IoCall::kRemove, path, [&] { return inner_->Remove(path); });
}

Status FaultFileSystem::RemoveFolder(const std::string& path) {
  return Perform(IoCall::kRemoveFolder, path, [&] { return inner_->RemoveFolder(path); });
}

Status FaultFileSystem::MakeFolder(const std::string& path) {
  return Perform(IoCall::kMakeFolder, path, [&] { return inner_->MakeFolder(path); });
}

Status FaultFileSystem::SyncFolder(const std::string& path) {
  return Perform(IoCall::kSyncFolder, path, [&] { return inner_->SyncFolder(path); });
}

Result<std::vector<FolderEntry>> FaultFileSystem::List(const std::string& path) {
  std::vector<FolderEntry> entries;
  ARROW_RETURN_NOT_OK(
      Perform(IoCall::kList, path, [&] { return inner_->List(path).Value(&entries); }));
  return entries;
}

bool FaultFileSystem::Exists(const std::string& path) { return inner_->Exists(path); }

std::string FaultFileSystem::RealPath(const std::string& path) { return inner_->RealPath(path); }

Result<std::unique_ptr<FolderLock>> FaultFileSystem::Lock(const std::string& path) {
  std::unique_ptr<FolderLock> lock;
  ARROW_RETURN_NOT_OK(
      Perform(IoCall::kLock, path, [&] { return inner_->Lock(path).Value(&lock); }));
  return lock;
}

}  // namespace fletching::io
