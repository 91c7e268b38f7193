// The store: tables in one folder. The door through which HTTP, Flight, SQL and Python come in.
//
//   auto engine = Engine::Open({.data_dir = "features"}).ValueOrDie();
//   engine->CreateTable("docs", schema);
//   engine->Write({.table = "docs"}, reader.get());
//   auto answer = engine->Read({.table = "docs", .keys = {ids}, .columns = {{"score"}}});
//
// Does not know JSON, HTTP, Flight or Python.
//
// Threads: every method may be called from any thread at any time. Reads, Scan, ListTables and
// GetTable take no lock; writes of one table are grouped into one commit.
// Lifetime: results own their memory and outlive the engine; the engine must outlive calls to it.
// Durability: when Write, Delete, CreateTable, DropTable or a schema change has returned OK, it
// survives kill -9 and power loss. If it returned an error, none of it is visible, except that a
// failed final sync may leave the batch visible after reopening, whole.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/options.h"
#include "fletching/request.h"
#include "fletching/schema.h"
#include "fletching/status.h"

namespace fletching {

class Engine {
 public:
  // Opens the folder and every table in it: maps segments, replays logs. A damaged table does not
  // stop the others: it reports through TableInfo::health.
  // Errors: kLocked naming the pid of the other writer; kUnavailable; kInvalidArgument.
  static Result<std::unique_ptr<Engine>> Open(const EngineOptions& options);
  ~Engine();

  // Stops background work and closes files. Later calls answer kInvalidArgument "closed".
  Status Close();

  // Errors: kAlreadyExists (also for a name equal but for case), kInvalidArgument.
  Status CreateTable(std::string_view name, const TableSchema& schema);
  Status DropTable(std::string_view name);
  Result<TableInfo> GetTable(std::string_view name) const;
  std::vector<TableInfo> ListTables() const;  // by name

  // Stores everything `source` yields as one atomic batch; the last row of a key wins (with
  // event_time: the newest event). Batches are validated, cast where lossless, checked for nulls.
  // Errors: kNotFound, kSchemaMismatch naming the column, kStorageFull, kCancelled.
  Result<WriteResult> Write(const WriteRequest& request, arrow::RecordBatchReader* source);

  // Stores everything `source` yields as the whole of the table, which is made if there is none.
  // Reads show all of it or none. Takes no other writes from then on.
  // Errors: as Write; kInvalidArgument when there are too few rows.
  Result<WriteResult> Replace(const ReplaceRequest& request, arrow::RecordBatchReader* source);

  // What the table held before its last Replace, rows and schema, at once; called again, what it
  // held before that call. Errors: kNotFound (table, or nothing is kept).
  Status RollBack(std::string_view table);

  // Deleting an absent key is no error. row_count = keys given.
  Result<WriteResult> Delete(const DeleteRequest& request);

  // Errors: kNotFound (table), kInvalidArgument (unknown or key column, wrong key types, null
  // keys). Cost: about two cache misses a key.
  Result<ReadResult> Read(const ReadRequest& request) const;

  // Several reads at once, answered in their order. Every table is read as it stood at one moment:
  // requests for the same table see the same version. Errors: as Read, of the first that fails.
  Result<std::vector<ReadResult>> ReadMany(const std::vector<ReadRequest>& requests) const;

  // The same straight into a row-major matrix of the caller, in one pass and without a copy
  // between: a row whose columns lie side by side and have the matrix's type is one copy of its
  // bytes. Errors: as Read; kInvalidArgument (shape of `out`, a fill that its type cannot hold);
  // kSchemaMismatch naming the column: no number, a float or a value that an integer matrix cannot
  // hold, a null without a fill.
  Result<MatrixResult> ReadMatrix(const MatrixRequest& request) const;

  // All live rows of one version, in no particular order, in batches of at most 64 Ki rows.
  // Lifetime: the reader pins that version; it must not outlive the engine.
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(const ScanRequest& request) const;

  // What a table holds now, for reads that are to agree. Errors: kNotFound; those of its health.
  Result<std::shared_ptr<const PinnedTable>> Pin(std::string_view table) const;

  // How segments are kept under options.memory_budget_bytes; all zeros without one. Takes a lock
  // for a moment.
  MemoryUsage GetMemoryUsage() const;

  // Manifest changes only: no segment is rewritten. New columns must be nullable.
  Status AddColumn(std::string_view table, const ColumnSchema& column);
  Status WidenColumn(std::string_view table, std::string_view column,
                     const std::shared_ptr<arrow::DataType>& type);

  // Merges everything of the table into one segment without expired, shadowed or deleted rows.
  // Blocks until done; reads and writes go on.
  Status Compact(std::string_view table);

  // In kReadOnly: shows what has come into the folder since, tables, versions and rows of the log,
  // and lets go of what is gone. Errors: of a table whose new files do not open; what it showed
  // before stays, and the next call tries again.
  Status Refresh();

  // Writes what is in memory into segments. Durability does not need it.
  Status Flush(std::string_view table);

  // Copies every table into `request.dir`, which is a data folder of its own then: one version of
  // each, with everything acknowledged before the call. Works in every mode; reads and writes go on
  // and wait for nothing. Segments are shared as hard links where the file system can, so on the
  // same disk it takes no time and no space, and is no protection from the loss of that disk.
  // Durable on return. After an error or a crash `dir` holds no tables.
  // Errors: kInvalidArgument (dir is not empty, or inside the data folder), kStorageFull, kLocked
  // (somebody writes to dir), kCorruption, those of on_progress.
  Result<SnapshotReport> Snapshot(const SnapshotRequest& request) const;

  // Reads every byte of every file below `data_dir` and checks it. Needs no open engine.
  static Result<VerifyReport> Verify(const std::string& data_dir);

  // What stands in any file that we write, damaged or cut short as it may be; of a data folder, or
  // of a table's, one line a file. Trusts nothing, and needs no open engine.
  // show_all: every entry of long tables; else the first ten of each.
  // Errors: kNotFound; kUnavailable; kInvalidArgument for a folder without files of ours.
  static Result<InspectReport> Inspect(const std::string& path, bool show_all = false);

  class Impl;

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fletching
