// Requests and results of the engine: plain data, no behaviour.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

namespace fletching {

// Keys of one request: one Arrow array per key column, in the order of TableSchema::key, equal
// lengths, no nulls. Types: the key column's, or one that widens to it (see IsWidening), also
// large_utf8 / string_view / dictionary for utf8.
using KeyArrays = std::vector<std::shared_ptr<arrow::Array>>;

struct ReadRequest {
  std::string table = {};
  KeyArrays keys = {};
  // Value columns wanted, in the order of the answer; nullopt = all of them. Key columns are
  // refused.
  std::optional<std::vector<std::string>> columns = {};
  // false: one row per key, in the order of the keys, absent keys as rows of nulls.
  // true: only the keys that were found; ReadResult::positions says which.
  bool hits_only = false;
};

struct ReadResult {
  // Shape: [keys x columns], or [found x columns] with hits_only. Every field is nullable.
  std::shared_ptr<arrow::RecordBatch> batch;
  // Bit i = key i was found; ceil(keys/8) bytes, least significant bit first.
  std::shared_ptr<arrow::Buffer> found;
  // hits_only: uint32, position in the request of each row of `batch`, ascending. Else null.
  std::shared_ptr<arrow::Array> positions;
  int64_t found_count = 0;
  uint64_t version = 0;  // commit number this answer shows
};

enum class MatrixType : uint8_t { kFloat16, kFloat32, kFloat64, kInt32, kInt64 };

// A matrix in memory of the caller. Shape: [row_count x column_count]. Strides may be anything,
// also negative, and values may be unaligned; row-major memory has a column stride of one value.
struct MatrixView {
  void* values = nullptr;
  MatrixType type = MatrixType::kFloat32;
  int64_t row_count = 0;
  int64_t column_count = 0;
  int64_t row_stride_bytes = 0;
  int64_t column_stride_bytes = 0;
};

// A read of numbers into memory of the caller: row i is that of key i.
struct MatrixRequest {
  std::string table = {};
  KeyArrays keys = {};
  // As in ReadRequest: integers, floats and bools. Converted to the matrix's type: floats round as
  // in a cast, integers must fit; a float column is refused by an integer matrix.
  std::optional<std::vector<std::string>> columns = {};
  // Shape: [keys x columns]. Must stay until the call returns; after an error its values are
  // undefined.
  MatrixView out = {};
  // What nulls and the rows of absent keys become; nullopt = NaN, and an error where one is met on
  // the way to an integer matrix.
  std::optional<double> fill = {};
  // Called every few ten thousand rows with the rows done so far; a non-OK answer ends the read
  // with that status. May be empty.
  std::function<Status(int64_t rows)> on_progress = {};
};

struct MatrixResult {
  std::shared_ptr<arrow::Buffer> found;  // as in ReadResult
  int64_t found_count = 0;
  uint64_t version = 0;  // commit number that the matrix shows
};

enum class WriteMode : uint8_t {
  kReplace,  // every declared column is given; the whole row is replaced
  kPatch,    // columns not given keep their value (null for a new key)
};

struct WriteRequest {
  std::string table = {};
  WriteMode mode = WriteMode::kReplace;
  bool ignore_extra_columns = false;  // true: columns the schema lacks are dropped, else an error
  // Called every few thousand rows with the rows taken so far; a non-OK answer ends the write with
  // that status and nothing is stored. May be empty.
  std::function<Status(int64_t rows)> on_progress = {};
};

struct WriteResult {
  int64_t row_count = 0;  // rows given, before last-wins inside the batch
  uint64_t version = 0;   // commit number that made them visible
};

struct DeleteRequest {
  std::string table = {};
  KeyArrays keys = {};
  // Event time of the deletion in microseconds since the epoch, UTC; nullopt = now.
  // Only used by tables with an event_time column.
  std::optional<int64_t> event_time_us = {};
};

struct ScanRequest {
  std::string table = {};
  std::optional<std::vector<std::string>> columns = {};  // nullopt = all, key columns first
  int64_t limit_rows = -1;                               // -1 = all
};

// One version of one table, for whoever reads it more than once and wants the same rows each time.
// Threads: any. Lifetime: must not outlive the engine; keeps the files of its version meanwhile.
class PinnedTable {
 public:
  virtual ~PinnedTable() = default;
  virtual const TableSchema& schema() const = 0;
  virtual uint64_t version() const = 0;
  virtual int64_t row_count_max() const = 0;  // as TableInfo::row_count
  // All its live rows, as Engine::Scan; request.table is not looked at. The reader keeps the
  // version too.
  virtual Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const ScanRequest& request) const = 0;
};

// Replaces all rows of a table at once: what was there stays whole, for RollBack, until the next.
struct ReplaceRequest {
  std::string table = {};
  std::string generation = {};  // names what is loaded, for people and for RollBack; not empty
  TableSchema schema = {};      // from now on; columns may come and go, the key too
  int32_t segment_count = 1;    // rows are spread over so many by the hash of their keys
  // Refused when there are fewer rows than this part of those there are; 0 = any number will do.
  double min_rows_ratio = 0;
  bool ignore_extra_columns = false;                     // as in WriteRequest
  std::function<Status(int64_t rows)> on_progress = {};  // likewise
};

// What a table was loaded from as a whole.
struct GenerationInfo {
  std::string name;            // empty: rows that were written, after a RollBack to them
  int64_t loaded_time_us = 0;  // since the epoch, UTC
  bool has_previous = false;
  std::string previous;  // its name, which may be empty
  std::string rejected;  // the one RollBack took back last; empty = none
};

struct TableInfo {
  std::string name;
  TableSchema schema;
  // Rows in segments and memory; an upper bound while shadowed rows wait for compaction.
  int64_t row_count = 0;
  int64_t disk_bytes = 0;    // of segments and logs
  int64_t memory_bytes = 0;  // of rows that no segment holds yet
  int64_t segment_count = 0;
  uint64_t version = 0;
  // Of a table that is loaded as a whole, and takes no writes.
  std::optional<GenerationInfo> generation;
  // Not OK when this table's files are damaged: it answers every call with this status.
  Status health;
};

// How the segments of an engine with a memory budget are kept, in bytes of their files.
struct MemoryUsage {
  int64_t budget_bytes = 0;      // 0: there is no budget, and nothing below is counted
  int64_t index_bytes = 0;       // key indexes, and all else that is no row: in memory
  int64_t mapped_row_bytes = 0;  // of segments whose rows are kept in memory whole
  int64_t cold_row_bytes = 0;    // of those whose rows are read from the disk
  int64_t row_cache_bytes = 0;   // memory for such rows of these as are used
};

struct SnapshotRequest {
  std::string dir = {};  // new, or empty; outside of the data folder
  // Checks every byte of every segment before it is taken; damage, also of a whole table, ends the
  // snapshot. Else damaged tables are left out, and damaged blocks are taken as they are.
  bool verify = false;
  // Called now and then with the bytes copied since the last call; a non-OK answer ends the
  // snapshot with that status. May be empty.
  std::function<Status(int64_t bytes)> on_progress = {};
};

struct SnapshotReport {
  int64_t table_count = 0;
  int64_t linked_bytes = 0;  // of segments that are the same file here and there
  int64_t copied_bytes = 0;
  std::vector<std::string> left_out;  // damaged tables, by name
};

// One thing that stands in a file, in the words of docs/format.md.
struct InspectLine {
  int32_t depth = 0;  // lines of a part follow it, one deeper
  std::string name;   // of a field, a part or a file
  uint64_t offset_bytes = 0;
  uint64_t size_bytes = 0;
  std::string type;     // "u64", "text", "SegmentFooter"; may be empty
  std::string value;    // may be empty
  std::string problem;  // what is wrong with it, and at which offset; empty = nothing
};

struct InspectReport {
  std::vector<InspectLine> lines;
};

struct VerifyReport {
  int64_t file_count = 0;
  int64_t checked_bytes = 0;
  std::vector<std::string> damage;   // one line each: file, offset, what
  std::vector<std::string> orphans;  // files no manifest names; harmless, removed at the next open
};

}  // namespace fletching
