// One table: its folder, its current version, its log and the threads that meet there.
//
//   read     pin the version -> locate -> gather -> assemble                    no lock
//   write    prepare -> (small: log + memory table | large: segment file) -> commit -> publish
//   flush    memory tables -> segments, new log, new manifest
//   compact  neighbouring segments -> one, new manifest
//   replace  everything at once: segments aside, new manifest, the old ones kept for a rollback
//
// Locks, in the order they are taken: maintenance_mutex_ (flush, compaction, schema changes; one at
// a time), commit_mutex_ (log and list of sources; held for one group commit), queue_mutex_
// (writers waiting; never held during I/O). The background thread, which runs at idle priority,
// boosts itself where it takes one of the last two; who waits for the first lends to its holder.
// Does not know other tables, tiers, JSON or HTTP.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fletching/request.h"

#include "base/clock.h"
#include "base/lending_mutex.h"
#include "format/manifest.h"
#include "io/file.h"
#include "segment/segment_writer.h"
#include "table/log.h"
#include "table/prepare.h"
#include "table/segment_plan.h"
#include "table/version.h"

namespace fletching {
class Counter;
class Metrics;
}  // namespace fletching

namespace fletching::segment {
class MemoryBudget;
}

namespace fletching::table {

// What tables get from the engine. Lifetime: outlives every table.
struct TableContext {
  io::FileSystem* file_system = nullptr;
  io::SegmentOpener* segment_opener = nullptr;                // null: the file system
  std::shared_ptr<segment::MemoryBudget> memory_budget = {};  // null: the machine's memory
  const Clock* clock = nullptr;
  const BatchCaster* caster = nullptr;
  std::function<uint64_t()> random;   // seeds and salts; thread-safe
  Metrics* metrics = nullptr;         // null: counted, and shown to nobody
  std::function<void()> wake_worker;  // maintenance may be due; cheap, any thread
  int64_t memtable_bytes_max = 0;
  int64_t small_write_bytes_max = 0;
  bool durable = true;
};

class Table {
 public:
  // Before one more is begun, a write waits until they are flushed.
  static constexpr int64_t kMemtablesMax = 5;

  // Makes `folder` with a first manifest; the caller syncs the parent folder.
  static Status Create(const TableContext& context, const std::string& folder,
                       const std::string& name, const TableSchema& schema);
  // is_writer: files that belong to nothing are removed and writes are possible.
  // before: the same table as it was opened earlier, or null. Its segments are taken over, and
  // those that are new are warmed up.
  static Result<std::shared_ptr<Table>> Open(const TableContext& context, const std::string& folder,
                                             bool is_writer, const Table* before = nullptr);

  Result<ReadResult> Read(const ReadRequest& request) const {
    return ReadAt(*PinVersion(), request);
  }
  // Of a version of this table that the caller has pinned.
  Result<ReadResult> ReadAt(const Version& version, const ReadRequest& request) const;
  Result<MatrixResult> ReadMatrix(const MatrixRequest& request) const;
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(const ScanRequest& request) const;
  Result<std::shared_ptr<const PinnedTable>> Pin() const;
  Result<WriteResult> Write(const WriteRequest& request, arrow::RecordBatchReader* source);
  Result<WriteResult> Delete(const DeleteRequest& request);
  Result<WriteResult> Replace(const ReplaceRequest& request, arrow::RecordBatchReader* source);
  Status RollBack();
  TableInfo Info() const;
  // Puts a copy of the current version, durably, into `folder`, which opens as this one would: its
  // segments as links where there can be such, rows in memory as further segments. The caller syncs
  // the parent folder, and removes `folder` after an error. Takes no lock.
  Status Snapshot(const std::string& folder, const SnapshotRequest& request,
                  SnapshotReport* report) const;
  Pinned<Version> PinVersion() const { return current_.Pin(); }

  Status Flush();
  Status Compact();  // everything into one segment
  Status AddColumn(const ColumnSchema& column);
  Status WidenColumn(std::string_view column, const std::shared_ptr<arrow::DataType>& type);

  // What the background thread calls: flushes and compacts what is due.
  Status Maintain();
  bool NeedsMaintenance() const { return needs_maintenance_.load(std::memory_order_relaxed); }

  const std::string& name() const { return name_; }
  const std::string& folder() const { return folder_; }
  // Of a table that is no writer's: takes in what the writer has logged since. False: there is more
  // than that, or what was taken in did not count in the end, so the table is to be opened anew.
  // Threads: one at a time; reads go on.
  bool Follow();

 private:
  struct PendingWrite;
  struct WriteGroup;
  class SegmentBatchWriter;

  // What the table counts. Cells by the table's name; of a dropped one they are shown no more.
  struct Counters {
    std::shared_ptr<Counter> hits, misses, rows_written, compactions, maintenance_failures;
  };

  Table(const TableContext& context, std::string folder, bool is_writer);
  void CountKeys(int64_t found_count, int64_t key_count) const;

  // table_open.cc
  Status Recover(const Table* before);
  void MakeCounters();
  Status LoadManifest(const std::vector<io::FolderEntry>& files);
  // -> newest first. before: see Open.
  Result<std::vector<Source>> OpenSegments(const std::vector<format::ManifestSegment>& segments,
                                           const TableState& state, const Table* before) const;
  Status ReplayLogs(const std::vector<io::FolderEntry>& files, std::set<std::string>* known);
  Status ReplayRecord(const format::RecordHeader& header, ByteSpan payload, const std::string& path,
                      uint64_t offset);
  Status RemoveOrphans(const std::vector<io::FolderEntry>& files, std::set<std::string> known);
  Result<Source> OpenSegment(uint64_t number, const TableState& state) const;
  RecordVisitor Replayer(const std::string& path);
  Result<bool> TryFollow();
  Status FollowTail();
  Result<Source> TakeOver(const Table& before, uint64_t number, const TableState& state) const;

  // table_write.cc
  Status CheckIsWriter() const;
  Status CheckTakesWrites() const;
  Result<WriteResult> WriteSmall(const WriteRequest& request,
                                 const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);
  Result<WriteResult> WriteLarge(const WriteRequest& request,
                                 std::vector<std::shared_ptr<arrow::RecordBatch>> batches,
                                 arrow::RecordBatchReader* source);
  Result<WriteResult> Submit(PendingWrite* write);
  void LeadGroup(WriteGroup* group);

  // table_commit.cc
  void CommitGroup(const std::vector<PendingWrite*>& group);
  Status Apply(PendingWrite* write, std::vector<LogRecord>* records);
  Status ApplyRows(PendingWrite* write);
  Status FillPatch(PreparedBatch* batch) const;
  Status EnsureLog();
  Status RotateLog();
  void LeaveLog();
  void AbandonLog(std::vector<Source> sources_before, uint64_t commit_before);
  void PushMemtable(uint64_t bytes_needed);
  void PublishVersion(uint64_t commit);

  // table_maintain.cc
  Status FlushWhile(std::unique_lock<std::mutex>* commit_lock, bool keep_locked,
                    std::shared_ptr<const TableState> new_state);
  Status MaintainLocked();
  Status CompactRun(size_t first, size_t count);
  Result<std::vector<Source>> MergeRun(const std::vector<Source>& run, bool keep_tombstones);
  bool FindRun(const std::vector<Source>& covered, size_t* first, size_t* count) const;
  std::vector<Source> CoveredSegments();  // newest first
  Status Alter(const std::function<Status(TableSchema*, uint32_t*)>& change);

  // table_replace.cc
  class GenerationWriter;
  Status SwitchTo(const std::shared_ptr<const TableState>& state, std::vector<Source> newest_first,
                  format::Manifest next, const std::vector<uint64_t>& fresh_segments);

  // table_manifest.cc
  Status WriteManifestAside(const format::Manifest& manifest);
  Status NameManifest(uint64_t number);
  Status ReplaceManifest(format::Manifest next, const std::vector<uint64_t>& fresh_segments);
  Status Settle();
  format::Manifest ManifestFor(const std::vector<Source>& newest_first) const;
  std::string ManifestPath(uint64_t number) const;
  Status SyncFolder() const;
  void RemoveFile(const std::string& path) const;  // what stays goes at the next open
  void RemoveSegments(const std::vector<uint64_t>& numbers) const;

  std::string SegmentPath(uint64_t number) const;
  SealOptions HowToSeal() const { return {context_.durable, context_.memory_budget != nullptr}; }
  int64_t Now() const { return context_.clock->NowMicros(); }

  const TableContext context_;
  const std::string folder_;
  const bool is_writer_;
  std::string name_;
  std::shared_ptr<io::MappedFile> tail_;  // of a reader: the newest log
  LogPosition tail_end_;                  // and how far it was taken in
  Counters counters_;

  PublishedCell<Version> current_;
  std::atomic<uint64_t> next_segment_{1};
  std::atomic<bool> needs_maintenance_{false};
  std::atomic<int64_t> log_bytes_{0};

  LendingMutex maintenance_mutex_;  // the background thread holds it for whole rounds
  format::Manifest manifest_;       // as last made durable

  std::mutex settle_mutex_;                      // taken last
  std::atomic<uint64_t> unsettled_manifest_{0};  // one that failed while it got its name
  std::vector<uint64_t> unsettled_segments_;     // that only it names

  std::mutex commit_mutex_;
  std::shared_ptr<const TableState> state_;
  std::vector<Source> sources_;  // newest first; [0] is the memory table being written
  std::unique_ptr<LogWriter> log_;
  uint64_t last_commit_ = 0;
  uint64_t last_log_number_ = 0;   // highest ever seen or tried
  uint64_t prior_log_number_ = 0;  // the log a new one continues
  uint64_t prior_log_bytes_ = 0;
  std::vector<uint64_t> doomed_segments_;  // of failed writes; a newer log must disown them first

  std::mutex queue_mutex_;
  std::shared_ptr<WriteGroup> forming_;  // null: nobody waits for a group of his own
  bool is_committing_ = false;           // a group is at it, or its leader about to be
};

// What readers are told of a manifest's generations; none when it has none.
std::optional<GenerationInfo> GenerationOf(const format::Manifest& manifest);
// A log whose making never finished is left out of the chain, and removed. Lest one be taken for
// that whose first page the disk did not give us, all of its bytes must be there. numbers: of the
// logs there are.
Status CheckLogsLeftOut(io::FileSystem* file_system, const std::string& folder,
                        const std::vector<uint64_t>& numbers, const std::vector<LogLink>& chain);

}  // namespace fletching::table
