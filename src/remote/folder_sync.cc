#include "remote/folder_sync.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/bytes.h"
#include "base/ignore_error.h"
#include "format/file_names.h"
#include "format/segment_layout.h"
#include "io/file.h"
#include "io/posix_error.h"
#include "remote/remote_files.h"
#include "remote/root_object.h"
#include "store/posix_io.h"

namespace fletching::remote {
namespace {

using std::chrono::steady_clock;

// A segment that nobody looked into for this long makes way for one that is in use.
constexpr auto kColdAfter = std::chrono::seconds(10);
// Making room goes on to this part of the budget, so that it need not be made at every fetch.
constexpr int64_t kRoomPart = 16;
constexpr off_t kReserveBytes = off_t{1} << 20;

io::FileSystem* Disk() { return io::PosixFileSystem(); }

// A table that is new here is made under another name, so that nobody opens it half made.
std::string NewFolder(const std::string& data_dir, uint64_t id) {
  const std::string folder = TableFolder(data_dir, id);
  const size_t slash = folder.find_last_of('/');
  return folder.substr(0, slash + 1).append(format::kNewPrefix).append(folder.substr(slash + 1));
}

int64_t DiskBytes(const std::string& path) {
  struct stat facts = {};
  return ::stat(path.c_str(), &facts) == 0 ? int64_t{facts.st_blocks} * 512 : 0;
}

// What stays of a segment that is dropped: header, tables of columns and blocks, footer.
int64_t EndsBytes(uint64_t size_bytes) {
  return 64 * 1024 + static_cast<int64_t>(size_bytes / 128);
}

Status CopyRange(int source, int target, const std::string& path, uint64_t begin, uint64_t end) {
  std::vector<uint8_t> bytes(end - begin);
  ARROW_RETURN_NOT_OK(store::ReadFully(source, path, begin, bytes));
  return store::WriteFullyAt(target, path, begin, bytes);
}

// Opening the dropped segment then asks the remote for nothing.
Status CarryEnds(int source, int target, const std::string& path, uint64_t size_bytes) {
  format::SegmentFooter footer;
  if (size_bytes < format::kBlockBytes + sizeof(footer)) return Status::OK();
  std::vector<uint8_t> tail(sizeof(footer));
  ARROW_RETURN_NOT_OK(store::ReadFully(source, path, size_bytes - sizeof(footer), tail));
  footer = LoadAs<format::SegmentFooter>(tail.data());
  if (footer.magic != format::kSegmentMagic || footer.columns_offset > size_bytes) {
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(CopyRange(source, target, path, 0, format::kBlockBytes));
  return CopyRange(source, target, path,
                   footer.columns_offset / format::kBlockBytes * format::kBlockBytes, size_bytes);
}

}  // namespace

FolderSync::FolderSync(store::ObjectStore* store, std::string data_dir, SegmentCache* cache)
    : store_(store),
      data_dir_(std::move(data_dir)),
      cache_(cache),
      limit_bytes_(cache == nullptr ? 0 : cache->options().budget_bytes) {}

std::string FolderSync::PathOf(const std::string& folder, const std::string& key,
                               const LocalSegment& segment) const {
  const std::string whole = SegmentPath(folder, segment.number);
  return segment.is_whole ? whole : PartialOf(whole, key, segment.size_bytes).path;
}

// What lies in a table's folder; rests of downloads that never ended go.
Result<FolderSync::TableFiles> FolderSync::Look(uint64_t id, const std::string& folder) const {
  TableFiles files;
  if (!Disk()->Exists(folder)) return files;
  ARROW_ASSIGN_OR_RAISE(const auto entries, Disk()->List(folder));
  const auto now = steady_clock::now();
  for (const io::FolderEntry& entry : entries) {
    const std::string path = folder + "/" + entry.name;
    if (entry.name.find(".part") != std::string::npos || entry.name.ends_with(".tmp")) {
      IgnoreError(Disk()->Remove(path));
      continue;
    }
    files.manifest_number = std::max(files.manifest_number,
                                     format::ParseFileNumber(entry.name, format::kManifestEnding));
    uint64_t number = format::ParseFileNumber(entry.name, format::kSegmentEnding);
    if (number != 0) {
      const auto key = SegmentKeyOf(id, path);
      if (key.ok()) {
        files.segments[*key] = {number, entry.size_bytes, true, now};
      } else {
        IgnoreError(Disk()->Remove(path));  // damaged: it is fetched again
      }
    } else if (const auto partial = ParsePartial(id, folder, entry.name);
               partial.has_value() && cache_ != nullptr) {
      number = partial->number;
      files.next_number = std::max(files.next_number, number + 1);
      if (entry.size_bytes != partial->size_bytes) {
        IgnoreError(Disk()->Remove(path));  // a power loss came before its length
        continue;
      }
      files.segments.try_emplace(partial->key,
                                 LocalSegment{number, partial->size_bytes, false, now});
    }
    files.next_number = std::max(files.next_number, number + 1);
  }
  return files;
}

Result<FolderSync::TableFiles*> FolderSync::LookAtFiles(uint64_t id) {
  auto known = tables_.find(id);
  if (known == tables_.end()) {
    const std::string folder = TableFolder(data_dir_, id);
    ARROW_ASSIGN_OR_RAISE(TableFiles files,
                          Look(id, Disk()->Exists(folder) ? folder : NewFolder(data_dir_, id)));
    known = tables_.emplace(id, std::move(files)).first;
  }
  return &known->second;
}

bool FolderSync::FitsWhole(uint64_t size_bytes) const {
  if (cache_ == nullptr) return true;
  if (cache_->options().lazy) return false;
  return limit_bytes_ == 0 || cache_bytes_ + static_cast<int64_t>(size_bytes) <= limit_bytes_;
}

Status FolderSync::FetchWhole(TableFiles* files, uint64_t table_id, const std::string& folder,
                              const std::string& key, const store::CallOptions& call) {
  const std::string path = SegmentPath(folder, files->next_number);
  ARROW_ASSIGN_OR_RAISE(const auto fetched, store_->GetToFile(key, path, {.call = call}));
  fetched_bytes_ += static_cast<int64_t>(fetched.size_bytes);
  const auto is_key = SegmentKeyOf(table_id, path);
  if (!is_key.ok() || *is_key != key) {
    IgnoreError(Disk()->Remove(path));
    ARROW_RETURN_NOT_OK(is_key.status());
    return Corruption(store_->url() + "/" + key, 0, "the object is not what its name says");
  }
  files->segments[key] = {files->next_number++, fetched.size_bytes, true, steady_clock::now()};
  cache_bytes_ += static_cast<int64_t>(fetched.size_bytes);
  return Status::OK();
}

Status FolderSync::Bring(TableFiles* files, uint64_t table_id, const std::string& folder,
                         const std::string& key, uint64_t size_bytes,
                         const store::CallOptions& call) {
  if (FitsWhole(size_bytes)) {
    const uint64_t number = files->next_number;
    const Status fetched = FetchWhole(files, table_id, folder, key, call);
    if (cache_ == nullptr || fetched.ok() || CodeOf(fetched) != ErrorCode::kStorageFull) {
      return fetched;
    }
    for (const char* rest : {".part", ".part.state"}) {
      IgnoreError(Disk()->Remove(SegmentPath(folder, number) + rest));
    }
    ++files->next_number;
    LowerLimit();
  }
  return MakePartial(files, folder, key, size_bytes, "");
}

// The disk holds less than the budget thinks, and that is learned once.
void FolderSync::LowerLimit() {
  LookAtUse();
  // Unless what was learned before is still to be done.
  if (limit_bytes_ == 0 || cache_bytes_ <= limit_bytes_) {
    limit_bytes_ = std::max<int64_t>(1, cache_bytes_ * 3 / 4);
  }
  IgnoreError(Disk()->Remove(ReservePath()));
}

// carry_from: a file of the same segment, or empty.
Status FolderSync::MakePartial(TableFiles* files, const std::string& folder, const std::string& key,
                               uint64_t size_bytes, const std::string& carry_from) {
  // Used up in any case: two files of one number would be taken for one another.
  const LocalSegment segment{files->next_number++, size_bytes, false, steady_clock::now()};
  const std::string path = PathOf(folder, key, segment);
  const auto make = [&]() -> Status {
    const store::OpenFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0 || ::ftruncate(file.get(), static_cast<off_t>(size_bytes)) != 0) {
      return io::ErrnoError("make", path, errno);
    }
    if (carry_from.empty()) return Status::OK();
    const store::OpenFile source(::open(carry_from.c_str(), O_RDONLY | O_CLOEXEC));
    if (source.get() < 0) return Status::OK();
    return CarryEnds(source.get(), file.get(), path, size_bytes);
  };
  if (const Status made = make(); !made.ok()) {
    ::unlink(path.c_str());
    return made;
  }
  files->segments[key] = segment;
  return Status::OK();
}

Status FolderSync::WriteManifest(TableFiles* files, const std::string& folder,
                                 const format::RemoteTable& table) {
  const std::string where = store_->url() + "/" + kRootKey;
  ARROW_ASSIGN_OR_RAISE(format::Manifest manifest,
                        format::DecodeManifest(AsBytes(table.manifest), where));
  for (size_t i = 0; i < manifest.segments.size(); ++i) {
    manifest.segments[i].number = files->segments.at(table.segments[i]).number;
  }
  manifest.number = files->manifest_number + 1;
  manifest.next_segment = files->next_number;
  ARROW_RETURN_NOT_OK(Disk()->SyncFolder(folder));
  const std::vector<uint8_t> bytes = format::EncodeManifest(manifest);
  ARROW_RETURN_NOT_OK(WriteFileDurably(ManifestPath(folder, manifest.number),
                                       std::string(bytes.begin(), bytes.end())));
  ++files->manifest_number;
  files->is_manifest_old = false;
  return Status::OK();
}

Status FolderSync::ApplyTable(const format::RemoteTable& table, const store::CallOptions& call) {
  const std::string final_folder = TableFolder(data_dir_, table.id);
  const bool is_new = !Disk()->Exists(final_folder);
  const std::string folder = is_new ? NewFolder(data_dir_, table.id) : final_folder;
  ARROW_ASSIGN_OR_RAISE(TableFiles* const known, LookAtFiles(table.id));
  TableFiles& files = *known;
  if (!is_new && files.applied.manifest == table.manifest) return Status::OK();
  const std::string where = store_->url() + "/" + kRootKey;
  ARROW_ASSIGN_OR_RAISE(const format::Manifest manifest,
                        format::DecodeManifest(AsBytes(table.manifest), where));
  if (manifest.segments.size() != table.segments.size()) {
    return Corruption(where, 0, "a table has another number of segments than its manifest");
  }
  ARROW_RETURN_NOT_OK(Disk()->MakeFolder(folder));
  for (size_t i = 0; i < table.segments.size(); ++i) {
    const std::string& key = table.segments[i];
    if (files.segments.contains(key)) continue;
    ARROW_RETURN_NOT_OK(
        Bring(&files, table.id, folder, key, manifest.segments[i].file_bytes, call));
  }
  ARROW_RETURN_NOT_OK(WriteManifest(&files, folder, table));
  files.applied = table;
  if (is_new) {
    ARROW_RETURN_NOT_OK(Disk()->Rename(folder, final_folder));
    ARROW_RETURN_NOT_OK(Disk()->SyncFolder(format::TablesFolder(data_dir_)));
  }
  return Status::OK();
}

Status FolderSync::Apply(const format::RemoteRoot& root, const store::CallOptions& call) {
  ARROW_RETURN_NOT_OK(Disk()->MakeFolder(format::TablesFolder(data_dir_)));
  is_applying_ = true;
  for (const format::RemoteTable& table : root.tables) {
    ARROW_RETURN_NOT_OK(LookAtFiles(table.id).status());
  }
  LookAtUse();
  for (const format::RemoteTable& table : root.tables) {
    ARROW_RETURN_NOT_OK(ApplyTable(table, call));
  }
  is_applying_ = false;
  // A table that is gone goes by its name first, as a drop does.
  std::set<uint64_t> named;
  for (const format::RemoteTable& table : root.tables) named.insert(table.id);
  ARROW_ASSIGN_OR_RAISE(const std::vector<uint64_t> here, TableIds(data_dir_));
  for (const uint64_t id : here) {
    if (named.contains(id)) continue;
    const std::string folder = TableFolder(data_dir_, id);
    const size_t slash = folder.find_last_of('/');
    const std::string dropped =
        folder.substr(0, slash + 1).append(format::kDroppedPrefix).append(folder.substr(slash + 1));
    if (Disk()->Exists(dropped)) ARROW_RETURN_NOT_OK(Disk()->RemoveFolder(dropped));
    ARROW_RETURN_NOT_OK(Disk()->Rename(folder, dropped));
    tables_.erase(id);
  }
  return Disk()->SyncFolder(format::TablesFolder(data_dir_));
}

// Of every table, so that the budget is one for all of them.
std::vector<FolderSync::Candidate> FolderSync::LookAtUse() {
  std::vector<Candidate> all;
  if (cache_ == nullptr) return all;
  cache_bytes_ = 0;
  looked_at_ = steady_clock::now();
  for (auto& [id, files] : tables_) {
    const std::string folder = TableFolder(data_dir_, id);
    for (auto& [key, segment] : files.segments) {
      const std::string path = PathOf(folder, key, segment);
      if (cache_->TakeUsed(path)) segment.used_at = looked_at_;
      all.push_back({id, &key, &segment, DiskBytes(path)});
      cache_bytes_ += all.back().disk_bytes;
    }
  }
  std::ranges::stable_sort(all, {}, [](const Candidate& one) { return one.segment->used_at; });
  return all;
}

// What dropping would leave; a guess until it was dropped once.
int64_t FolderSync::LeastBytes(const LocalSegment& segment) {
  return std::max(segment.least_bytes, EndsBytes(segment.size_bytes));
}

Status FolderSync::Drop(Candidate* candidate) {
  const std::string folder = TableFolder(data_dir_, candidate->table_id);
  const std::string before = PathOf(folder, *candidate->key, *candidate->segment);
  const auto used_at = candidate->segment->used_at;
  ARROW_RETURN_NOT_OK(MakePartial(&tables_[candidate->table_id], folder, *candidate->key,
                                  candidate->segment->size_bytes, before));
  tables_[candidate->table_id].is_manifest_old = true;
  replaced_.push_back(before);
  candidate->segment->used_at = used_at;
  const int64_t left = DiskBytes(PathOf(folder, *candidate->key, *candidate->segment));
  cache_bytes_ += left - candidate->disk_bytes;
  candidate->disk_bytes = left;
  candidate->segment->least_bytes = left;
  return Status::OK();
}

// Drops segments, longest unused first, until no more than `limit_bytes` are used.
Status FolderSync::DropUntil(int64_t limit_bytes, std::span<Candidate> by_use, bool one_only) {
  for (Candidate& candidate : by_use) {
    if (cache_bytes_ <= limit_bytes) break;
    if (candidate.disk_bytes <= LeastBytes(*candidate.segment)) continue;
    ARROW_RETURN_NOT_OK(Drop(&candidate));
    if (one_only) break;
  }
  return Status::OK();
}

// The segment used last that is not whole, if the budget and what is cold leave room for it.
Status FolderSync::FetchOneUsed(std::vector<Candidate>* by_use, const store::CallOptions& call) {
  const auto wanted = std::ranges::find_if(by_use->rbegin(), by_use->rend(),
                                           [](const auto& one) { return !one.segment->is_whole; });
  if (wanted == by_use->rend() || wanted->segment->used_at < looked_at_) return Status::OK();
  if (limit_bytes_ > 0) {
    const auto first_warm = std::ranges::find_if(*by_use, [&](const Candidate& one) {
      return one.segment->used_at + kColdAfter > looked_at_;
    });
    const std::span<Candidate> cold(by_use->begin(), first_warm);
    int64_t can_go = 0;
    for (const Candidate& one : cold) {
      can_go += std::max<int64_t>(0, one.disk_bytes - LeastBytes(*one.segment));
    }
    const int64_t limit = limit_bytes_ - static_cast<int64_t>(wanted->segment->size_bytes);
    if (cache_bytes_ - can_go > limit) return Status::OK();
    // What is dropped gives its space once nobody opens it any more: the next time, there is room.
    if (cache_bytes_ > limit) return DropUntil(limit, cold, false);
  }
  const std::string folder = TableFolder(data_dir_, wanted->table_id);
  TableFiles* const files = &tables_[wanted->table_id];
  const std::string part = PathOf(folder, *wanted->key, *wanted->segment);
  ARROW_RETURN_NOT_OK(FetchWhole(files, wanted->table_id, folder, *wanted->key, call));
  files->is_manifest_old = true;
  replaced_.push_back(part);
  return Status::OK();
}

Result<bool> FolderSync::Balance(const store::CallOptions& call) {
  if (cache_ == nullptr) return false;
  // On a full disk each drop has to give its space before there is some for the next.
  const bool is_full = cache_->TakeDiskFull();
  if (is_full) LowerLimit();
  std::vector<Candidate> by_use = LookAtUse();
  Status status = Status::OK();
  if (limit_bytes_ > 0 && cache_bytes_ > limit_bytes_) {
    status = DropUntil(limit_bytes_ - limit_bytes_ / kRoomPart, by_use, is_full);
  }
  if (status.ok() && !cache_->options().lazy) status = FetchOneUsed(&by_use, call);
  // What was changed is shown, whatever came after it.
  bool is_changed = false;
  for (auto& [id, files] : tables_) {
    if (!files.is_manifest_old || !files.IsShown()) continue;
    ARROW_RETURN_NOT_OK(WriteManifest(&files, TableFolder(data_dir_, id), files.applied));
    is_changed = true;
  }
  if (limit_bytes_ > 0) cache_->SetRoom(limit_bytes_ - cache_bytes_);
  if (!is_changed) ARROW_RETURN_NOT_OK(status);
  return is_changed;
}

void FolderSync::KeepReserve() const {
  if (cache_ == nullptr || Disk()->Exists(ReservePath())) return;
  off_t bytes = kReserveBytes;
  for (const auto& [id, files] : tables_) {
    for (const auto& [key, segment] : files.segments) {
      bytes = std::max<off_t>(bytes, kReserveBytes + 2 * LeastBytes(segment));
    }
  }
  const store::OpenFile file(::open(ReservePath().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() >= 0 && ::posix_fallocate(file.get(), 0, bytes) != 0) {
    IgnoreError(Disk()->Remove(ReservePath()));
  }
}

void FolderSync::CleanUp() {
  for (const std::string& path : replaced_) IgnoreError(Disk()->Remove(path));
  replaced_.clear();
  if (is_applying_) return;
  const auto folders = Disk()->List(format::TablesFolder(data_dir_));
  if (folders.ok()) {
    for (const io::FolderEntry& entry : *folders) {
      const bool is_new = entry.name.starts_with(format::kNewPrefix);
      if (is_new || entry.name.starts_with(format::kDroppedPrefix)) {
        IgnoreError(Disk()->RemoveFolder(format::TablesFolder(data_dir_) + "/" + entry.name));
      }
    }
  }
  for (auto& [id, files] : tables_) {
    if (!files.IsShown()) continue;
    const std::string folder = TableFolder(data_dir_, id);
    const std::set<std::string> named(files.applied.segments.begin(), files.applied.segments.end());
    std::erase_if(files.segments, [&](const auto& entry) { return !named.contains(entry.first); });
    std::set<std::string> wanted{ManifestPath(folder, files.manifest_number)};
    for (const auto& [key, segment] : files.segments) wanted.insert(PathOf(folder, key, segment));
    const auto entries = Disk()->List(folder);
    if (!entries.ok()) continue;
    for (const io::FolderEntry& entry : *entries) {
      const std::string path = folder + "/" + entry.name;
      const bool is_ours = entry.name.ends_with(format::kManifestEnding) ||
                           entry.name.ends_with(format::kSegmentEnding) ||
                           entry.name.ends_with(kPartialEnding) ||
                           entry.name.find(".part") != std::string::npos;
      if (is_ours && !wanted.contains(path)) IgnoreError(Disk()->Remove(path));
    }
  }
  KeepReserve();
}

}  // namespace fletching::remote
