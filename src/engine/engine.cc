#include "fletching/engine.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <random>
#include <utility>

#include <arrow/record_batch.h>

#include "base/clock.h"
#include "base/ignore_error.h"
#include "base/metrics.h"
#include "engine/batch_caster.h"
#include "engine/catalog.h"
#include "engine/data_folder.h"
#include "engine/inspect_path.h"
#include "engine/snapshot.h"
#include "engine/ticker.h"
#include "engine/worker.h"
#include "format/file_names.h"
#include "io/file.h"
#include "segment/memory_budget.h"
#include "table/published.h"
#include "table/verify.h"

namespace fletching {
namespace {

using engine::Catalog;
using engine::CatalogEntry;
using table::Table;

}  // namespace

class Engine::Impl {
 public:
  explicit Impl(const EngineOptions& options) : options_(options) {
    file_system_ = options.file_system != nullptr ? options.file_system : io::PosixFileSystem();
    options_.data_dir = engine::WithoutTrailingSlash(std::move(options_.data_dir));
    context_.file_system = file_system_;
    context_.segment_opener = options.segment_opener;
    context_.clock = options.clock != nullptr ? options.clock : SystemClock();
    context_.caster = engine::IngestCaster();
    if (options_.metrics == nullptr) options_.metrics = &unseen_metrics_;
    context_.metrics = options_.metrics;
    context_.random = [this] { return Random(); };
    context_.wake_worker = [this] { WakeWorker(); };
    context_.memtable_bytes_max = options.memtable_bytes_max;
    context_.small_write_bytes_max = options.small_write_bytes_max;
    context_.durable = options.durable;
    if (options.memory_budget_bytes > 0) {
      UseBudget(options.memory_budget_bytes);
    }
  }

  ~Impl() { IgnoreError(Close()); }

  Status Open() {
    if (options_.data_dir.empty()) return InvalidArgument("data_dir is empty");
    if (options_.mode == OpenMode::kWrite) return BecomeWriter();
    if (options_.mode == OpenMode::kAppend) {
      ARROW_RETURN_NOT_OK(file_system_->MakeFolder(tables_folder()));
    } else if (!file_system_->Exists(tables_folder())) {
      return NotFound("data folder", options_.data_dir);
    }
    ARROW_RETURN_NOT_OK(LoadTables(false));
    if (options_.mode == OpenMode::kReadOnly && options_.follow_interval_ms > 0) {
      follower_ = std::make_unique<engine::Ticker>(options_.follow_interval_ms,
                                                   [this] { IgnoreError(Refresh()); });
    }
    return Status::OK();
  }

  // Takes the lock, then looks at the tables again: another writer may have been here before.
  Status BecomeWriter() {
    ARROW_RETURN_NOT_OK(engine::MakeDurableFolder(file_system_, tables_folder()));
    ARROW_ASSIGN_OR_RAISE(lock_, file_system_->Lock(format::LockFile(options_.data_dir)));
    if (const Status loaded = LoadTables(true); !loaded.ok()) {
      lock_.reset();
      return loaded;
    }
    if (options_.background_compaction) {
      worker_ = std::make_unique<engine::Worker>([this] { return MaintainTables(); });
      worker_->Wake();
    }
    is_writer_.store(true, std::memory_order_release);
    return Status::OK();
  }

  Status AfterCommit(std::string_view table, const Result<WriteResult>& result) const {
    if (!result.ok() || options_.write_gate == nullptr) return result.status();
    return options_.write_gate->AfterCommit(table, result->version);
  }

  Status EnsureWriter() {
    if (options_.write_gate != nullptr) ARROW_RETURN_NOT_OK(options_.write_gate->BeforeChange());
    if (is_writer_.load(std::memory_order_acquire) && !is_closed_) return Status::OK();
    const std::lock_guard lock(ddl_mutex_);
    if (is_closed_) return InvalidArgument("this engine is closed");
    if (options_.mode == OpenMode::kReadOnly) {
      return InvalidArgument("opened read-only; open with mode \"a\" or \"w\" to write");
    }
    return lock_ != nullptr ? Status::OK() : BecomeWriter();
  }

  Status Close() {
    {
      const std::lock_guard lock(ddl_mutex_);
      if (is_closed_) return Status::OK();
      is_closed_ = true;
    }
    if (follower_ != nullptr) follower_->Stop();  // not under the lock, which it may wait for
    const std::lock_guard lock(ddl_mutex_);
    if (worker_ != nullptr) worker_->Stop();
    catalog_.Publish(new Catalog());
    lock_.reset();
    return Status::OK();
  }

  Result<std::shared_ptr<Table>> Find(std::string_view name) const {
    if (is_closed_) return InvalidArgument("this engine is closed");
    return catalog_.Pin()->Find(name);
  }

  Status CreateTable(std::string_view name, const TableSchema& schema) {
    ARROW_RETURN_NOT_OK(CheckName("table", name));
    ARROW_RETURN_NOT_OK(CheckSchema(schema));
    ARROW_RETURN_NOT_OK(EnsureWriter());
    const std::lock_guard lock(ddl_mutex_);
    if (const std::string* existing = catalog_.Pin()->FindAnyCase(name)) {
      return AlreadyExists("table", *existing);
    }
    ARROW_RETURN_NOT_OK(Settle());
    const std::string id = format::TableFolderName(next_id_++);
    const std::string folder = Folder("", id);
    const auto make = [&]() -> Result<std::shared_ptr<Table>> {
      ARROW_RETURN_NOT_OK(
          Table::Create(context_, Folder(format::kNewPrefix, id), std::string(name), schema));
      ARROW_RETURN_NOT_OK(file_system_->Rename(Folder(format::kNewPrefix, id), folder));
      ARROW_RETURN_NOT_OK(SyncTables());
      return Table::Open(context_, folder, true);
    };
    auto table = make();
    if (!table.ok()) {
      unsettled_ids_.push_back(id);
      IgnoreError(Settle());
      return table.status();
    }
    auto* next = new Catalog();
    next->entries = catalog_.Pin()->entries;
    next->entries[std::string(name)] = {*std::move(table), folder, Status::OK()};
    catalog_.Publish(next);
    return Status::OK();
  }

  Status DropTable(std::string_view name) {
    ARROW_RETURN_NOT_OK(EnsureWriter());
    const std::lock_guard lock(ddl_mutex_);
    auto next = std::make_unique<Catalog>();
    next->entries = catalog_.Pin()->entries;
    const auto found = next->entries.find(name);
    if (found == next->entries.end()) return NotFound("table", name);
    const std::string folder = found->second.folder;
    const std::string dropped =
        Folder(format::kDroppedPrefix, folder.substr(folder.find_last_of('/') + 1));
    const auto drop = [&]() -> Status {  // an earlier attempt may have renamed it already
      if (file_system_->Exists(folder)) {
        ARROW_RETURN_NOT_OK(file_system_->Rename(folder, dropped));
      }
      return SyncTables();
    };
    const auto undo = [&]() -> Status {
      if (file_system_->Exists(folder)) return Status::OK();
      ARROW_RETURN_NOT_OK(file_system_->Rename(dropped, folder));
      return SyncTables();
    };
    if (const Status status = drop(); !status.ok()) {
      if (undo().ok()) return status;
      // Nobody knows which name a power loss would leave, so it must not take writes any more.
      found->second.table = nullptr;
      found->second.health = Unavailable("table '" + std::string(name) +
                                         "' is half dropped; drop it again: " + status.message());
      catalog_.Publish(next.release());
      return status;
    }
    next->entries.erase(found);
    catalog_.Publish(next.release());
    options_.metrics->Forget("table", name);
    IgnoreError(file_system_->RemoveFolder(dropped));
    return Status::OK();
  }

  // Tables whose manifest is still the newest stay open, and take in what was logged.
  Status Refresh() {
    const std::lock_guard lock(ddl_mutex_);
    if (is_closed_) return InvalidArgument("this engine is closed");
    if (options_.mode != OpenMode::kReadOnly) return Status::OK();
    std::map<std::string, CatalogEntry> open;  // by folder
    for (const auto& [name, entry] : catalog_.Pin()->entries) {
      if (entry.table != nullptr) open[entry.folder] = entry;
    }
    Status trouble = Status::OK();
    const Status loaded = LoadTables(false, open, &trouble);
    for (auto& [folder, entry] : open) {
      if (IsCurrent(entry.table->name(), entry)) continue;
      table::WaitWhileShared([&] { return entry.table.use_count() > 1; });
    }
    return loaded.ok() ? trouble : loaded;
  }

  Result<SnapshotReport> Snapshot(const SnapshotRequest& request) const {
    if (is_closed_) return InvalidArgument("this engine is closed");
    return engine::WriteSnapshot(file_system_, options_.data_dir, *catalog_.Pin(), request);
  }

  MemoryUsage GetMemoryUsage() const {
    return context_.memory_budget != nullptr ? context_.memory_budget->usage() : MemoryUsage{};
  }

  std::vector<TableInfo> ListTables() const {
    std::vector<TableInfo> infos;
    const auto catalog = catalog_.Pin();
    for (const auto& [name, entry] : catalog->entries) {
      if (entry.table != nullptr) {
        infos.push_back(entry.table->Info());
      } else {
        infos.emplace_back();
        infos.back().name = name;
        infos.back().health = entry.health;
      }
    }
    return infos;
  }

 private:
  // What is written waits in memory too: in smaller tables then, for which a writer keeps room.
  void UseBudget(int64_t budget_bytes) {
    const int64_t memtable_bytes = std::max<int64_t>(budget_bytes / 16, int64_t{1} << 20);
    context_.memtable_bytes_max = std::min(context_.memtable_bytes_max, memtable_bytes);
    context_.small_write_bytes_max =
        std::min(context_.small_write_bytes_max, context_.memtable_bytes_max / 4);
    const bool writes = options_.mode != OpenMode::kReadOnly;
    const int64_t waiting_bytes = writes ? Table::kMemtablesMax * context_.memtable_bytes_max : 0;
    context_.memory_budget = std::make_shared<segment::MemoryBudget>(
        budget_bytes, std::min(waiting_bytes, budget_bytes / 3), options_.metrics);
  }

  std::string tables_folder() const { return format::TablesFolder(options_.data_dir); }
  std::string Folder(std::string_view prefix, const std::string& id) const {
    return tables_folder() + "/" + std::string(prefix) + id;
  }
  Status SyncTables() {
    return options_.durable ? file_system_->SyncFolder(tables_folder()) : Status::OK();
  }

  // Takes back folders of tables whose making failed, durably: after a power loss such a folder
  // could else stand beside a later table of the same name.
  Status Settle() {
    while (!unsettled_ids_.empty()) {
      const std::string& id = unsettled_ids_.back();
      const std::string folder = Folder("", id);
      if (file_system_->Exists(folder)) {
        ARROW_RETURN_NOT_OK(file_system_->Rename(folder, Folder(format::kDroppedPrefix, id)));
      }
      ARROW_RETURN_NOT_OK(SyncTables());
      for (const std::string_view prefix : {format::kNewPrefix, format::kDroppedPrefix}) {
        const std::string left = Folder(prefix, id);
        if (file_system_->Exists(left)) IgnoreError(file_system_->RemoveFolder(left));
      }
      unsettled_ids_.pop_back();
    }
    return Status::OK();
  }

  // A table that does not open shows it in its health. trouble: receives what may be over the next
  // time, if it is given.
  Status LoadTables(bool is_writer, const std::map<std::string, CatalogEntry>& open = {},
                    Status* trouble = nullptr) {
    ARROW_ASSIGN_OR_RAISE(const auto folders, file_system_->List(tables_folder()));
    auto next = std::make_unique<Catalog>();
    bool is_changed = false;
    for (const io::FolderEntry& entry : folders) {
      const std::string path = tables_folder() + "/" + entry.name;
      if (is_writer && entry.is_folder &&
          (entry.name.starts_with(format::kNewPrefix) ||
           entry.name.starts_with(format::kDroppedPrefix))) {
        ARROW_RETURN_NOT_OK(file_system_->RemoveFolder(path));
        continue;
      }
      const uint64_t id = format::ParseTableFolder(entry.name);
      if (!entry.is_folder || id == 0) continue;
      next_id_ = std::max(next_id_, id + 1);
      const auto kept = open.find(path);
      if (kept != open.end() && kept->second.table->Follow()) {
        next->entries[kept->second.table->name()] = kept->second;
        continue;
      }
      is_changed = true;
      const Table* before = kept == open.end() ? nullptr : kept->second.table.get();
      auto table = OpenTable(path, is_writer, before);
      if (!table.ok() && kept != open.end()) {
        // What was served before stays; it is tried again with the next refresh.
        next->entries[kept->second.table->name()] = kept->second;
        if (trouble != nullptr) *trouble = table.status();
      } else if (table.ok()) {
        const std::string name = (*table)->name();
        next->entries[name] = {*std::move(table), path, Status::OK()};
      } else {
        // The name is in the manifest; when that is what is damaged, the folder stands for it.
        next->entries[table::NameInManifest(file_system_, path)] = {nullptr, path, table.status()};
        if (trouble != nullptr && MayHeal(table.status())) *trouble = table.status();
      }
    }
    // A reader that looks every few milliseconds makes no new catalog each time.
    if (is_changed || open.empty() || next->entries.size() != open.size()) {
      catalog_.Publish(next.release());
    }
    return Status::OK();
  }

  // A writer beside us may replace files between our look at the manifest and at what it names.
  Result<std::shared_ptr<Table>> OpenTable(const std::string& path, bool is_writer,
                                           const Table* before) {
    constexpr int kTries = 5;
    for (int i = 1;; ++i) {
      auto table = Table::Open(context_, path, is_writer, before);
      if (table.ok() || is_writer || i == kTries || MayHeal(table.status())) return table;
    }
  }

  // Files that could not be had just now, as those of a remote, and not damage.
  static bool MayHeal(const Status& status) {
    const ErrorCode code = CodeOf(status);
    return code == ErrorCode::kUnavailable || code == ErrorCode::kStorageFull ||
           code == ErrorCode::kDeadline || code == ErrorCode::kCancelled;
  }

  // Not dropped meanwhile.
  bool IsCurrent(const std::string& name, const CatalogEntry& entry) const {
    const auto catalog = catalog_.Pin();
    const auto found = catalog->entries.find(name);
    return found != catalog->entries.end() && found->second.table == entry.table;
  }

  void WakeWorker() {
    if (worker_ != nullptr) worker_->Wake();
  }

  bool MaintainTables() {
    bool ok = true;
    const auto catalog = catalog_.Pin();
    for (const auto& [name, entry] : catalog->entries) {
      if (entry.table == nullptr || !entry.table->NeedsMaintenance()) continue;
      const Status status = entry.table->Maintain();
      if (status.ok() || !IsCurrent(name, entry)) continue;
      ok = false;
      std::fprintf(stderr,
                   "fletching: background work on table '%s' failed and will be tried again: %s\n",
                   name.c_str(), status.message().c_str());
    }
    return ok;
  }

  uint64_t Random() {
    const std::lock_guard lock(random_mutex_);
    return random_();
  }

  Metrics unseen_metrics_;  // where nobody gave us any, so that counting needs no question
  EngineOptions options_;
  io::FileSystem* file_system_;
  table::TableContext context_;
  std::mutex random_mutex_;
  std::mt19937_64 random_{std::random_device{}() ^ (uint64_t{std::random_device{}()} << 32)};

  std::mutex ddl_mutex_;
  std::unique_ptr<io::FolderLock> lock_;
  uint64_t next_id_ = 1;
  std::vector<std::string> unsettled_ids_;
  std::atomic<bool> is_closed_{false};
  std::atomic<bool> is_writer_{false};
  table::PublishedCell<Catalog> catalog_;
  std::unique_ptr<engine::Worker> worker_;
  std::unique_ptr<engine::Ticker> follower_;  // in kReadOnly
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Open(const EngineOptions& options) {
  auto impl = std::make_unique<Impl>(options);
  ARROW_RETURN_NOT_OK(impl->Open());
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Status Engine::Close() { return impl_->Close(); }

Status Engine::CreateTable(std::string_view name, const TableSchema& schema) {
  return impl_->CreateTable(name, schema);
}

Status Engine::DropTable(std::string_view name) { return impl_->DropTable(name); }

Result<TableInfo> Engine::GetTable(std::string_view name) const {
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->Info();
}

std::vector<TableInfo> Engine::ListTables() const { return impl_->ListTables(); }

MemoryUsage Engine::GetMemoryUsage() const { return impl_->GetMemoryUsage(); }

Result<WriteResult> Engine::Write(const WriteRequest& request, arrow::RecordBatchReader* source) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(request.table));
  auto result = table->Write(request, source);
  ARROW_RETURN_NOT_OK(impl_->AfterCommit(request.table, result));
  return result;
}

Result<WriteResult> Engine::Replace(const ReplaceRequest& request,
                                    arrow::RecordBatchReader* source) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  auto table = impl_->Find(request.table);
  if (!table.ok() && CodeOf(table.status()) == ErrorCode::kNotFound) {
    const Status made = impl_->CreateTable(request.table, request.schema);
    if (!made.ok() && CodeOf(made) != ErrorCode::kAlreadyExists) return made;
    table = impl_->Find(request.table);
  }
  ARROW_RETURN_NOT_OK(table.status());
  auto result = (*table)->Replace(request, source);
  ARROW_RETURN_NOT_OK(impl_->AfterCommit(request.table, result));
  return result;
}

Status Engine::RollBack(std::string_view name) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->RollBack();
}

Result<WriteResult> Engine::Delete(const DeleteRequest& request) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(request.table));
  auto result = table->Delete(request);
  ARROW_RETURN_NOT_OK(impl_->AfterCommit(request.table, result));
  return result;
}

Result<ReadResult> Engine::Read(const ReadRequest& request) const {
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(request.table));
  return table->Read(request);
}

Result<MatrixResult> Engine::ReadMatrix(const MatrixRequest& request) const {
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(request.table));
  return table->ReadMatrix(request);
}

Result<std::vector<ReadResult>> Engine::ReadMany(const std::vector<ReadRequest>& requests) const {
  // Everything is pinned before anything is read.
  std::map<std::string_view,
           std::pair<std::shared_ptr<table::Table>, table::Pinned<table::Version>>>
      pinned;
  for (const ReadRequest& request : requests) {
    if (pinned.contains(request.table)) continue;
    ARROW_ASSIGN_OR_RAISE(auto table, impl_->Find(request.table));
    auto version = table->PinVersion();
    pinned.emplace(request.table, std::pair(std::move(table), std::move(version)));
  }
  std::vector<ReadResult> results;
  for (const ReadRequest& request : requests) {
    const auto& [table, version] = pinned.at(request.table);
    ARROW_ASSIGN_OR_RAISE(ReadResult result, table->ReadAt(*version, request));
    results.push_back(std::move(result));
  }
  return results;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Engine::Scan(const ScanRequest& request) const {
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(request.table));
  return table->Scan(request);
}

Result<std::shared_ptr<const PinnedTable>> Engine::Pin(std::string_view name) const {
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->Pin();
}

Status Engine::AddColumn(std::string_view name, const ColumnSchema& column) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->AddColumn(column);
}

Status Engine::WidenColumn(std::string_view name, std::string_view column,
                           const std::shared_ptr<arrow::DataType>& type) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->WidenColumn(column, type);
}

Status Engine::Refresh() { return impl_->Refresh(); }

Status Engine::Compact(std::string_view name) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->Compact();
}

Status Engine::Flush(std::string_view name) {
  ARROW_RETURN_NOT_OK(impl_->EnsureWriter());
  ARROW_ASSIGN_OR_RAISE(const auto table, impl_->Find(name));
  return table->Flush();
}

Result<SnapshotReport> Engine::Snapshot(const SnapshotRequest& request) const {
  return impl_->Snapshot(request);
}

Result<InspectReport> Engine::Inspect(const std::string& path, bool show_all) {
  return engine::InspectPath(io::PosixFileSystem(), path, show_all);
}

Result<VerifyReport> Engine::Verify(const std::string& data_dir) {
  io::FileSystem* file_system = io::PosixFileSystem();
  const std::string tables = format::TablesFolder(data_dir);
  if (!file_system->Exists(tables)) return NotFound("data folder", data_dir);
  VerifyReport report;
  ARROW_ASSIGN_OR_RAISE(const auto folders, file_system->List(tables));
  for (const io::FolderEntry& entry : folders) {
    const std::string path = tables + "/" + entry.name;
    if (entry.is_folder && format::ParseTableFolder(entry.name) != 0) {
      ARROW_RETURN_NOT_OK(table::VerifyTable(file_system, path, &report));
    } else {
      report.orphans.push_back(path);
    }
  }
  return report;
}

}  // namespace fletching
