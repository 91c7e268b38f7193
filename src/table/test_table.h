// A table without an engine around it: no background thread, time and randomness by the test.
// For tests only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "base/clock.h"
#include "io/sim_file_system.h"
#include "table/table.h"

namespace fletching::table {

class TestClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_us.load(); }
  std::atomic<int64_t> now_us{1'000'000'000};
};

// Takes batches as they are: ingest, which casts, is another room.
class PlainCaster final : public BatchCaster {
 public:
  Status Validate(const arrow::Array& column) const override;
  Result<std::shared_ptr<arrow::Array>> Cast(const std::shared_ptr<arrow::Array>& column,
                                             const std::shared_ptr<arrow::DataType>& type,
                                             bool strict) const override;
};

using Ints = std::vector<std::optional<int64_t>>;
using Texts = std::vector<std::optional<std::string>>;
std::shared_ptr<arrow::Array> ArrayOf(const std::shared_ptr<arrow::DataType>& type,
                                      const Ints& values);
std::shared_ptr<arrow::Array> ArrayOf(const Texts& values);
// Lists of `count` int32 each, 1, 2, 3 ...
std::shared_ptr<arrow::Array> ArrayOfLists(int64_t rows, int count);

// The bytes of a file, and a file of these bytes in its place.
std::vector<uint8_t> BytesOf(io::FileSystem* disk, const std::string& path);
void PutBytes(io::FileSystem* disk, const std::string& path, const std::vector<uint8_t>& bytes);
// Files of a folder whose names end so, with the folder.
std::vector<std::string> FilesOf(io::FileSystem* disk, const std::string& folder,
                                 std::string_view ending);

// Where the last frame of a log begins and ends. Behind it may lie reserved space.
struct LogSpan {
  uint64_t begin = 0;
  uint64_t end = 0;
};
LogSpan LastFrameOf(const std::vector<uint8_t>& log);

// "1 null 3 | missing | ": the value columns of each key of an answer.
std::string RowsText(const ReadResult& result);
// All rows of a scan, sorted, in the same form.
Result<std::string> RowsText(arrow::RecordBatchReader* reader);

class TestTable {
 public:
  static constexpr const char* kFolder = "/t";

  // Makes the table when the disk has none. `disk` must outlive this.
  TestTable(io::FileSystem* disk, const TableSchema& schema,
            int64_t small_write_bytes_max = 1 << 20);

  Table* operator->() { return table_.get(); }
  Status Open();  // again, as a new process would
  Status opened() const { return opened_; }

  // columns: one per column of the schema, in its order.
  Result<WriteResult> Write(std::vector<std::shared_ptr<arrow::Array>> columns,
                            WriteMode mode = WriteMode::kReplace);
  Result<WriteResult> Delete(std::shared_ptr<arrow::Array> keys,
                             std::optional<int64_t> event_time_us = {});
  // RowsText of a read or scan, or the error.
  std::string Show(std::shared_ptr<arrow::Array> keys);
  std::string ShowAll();

  TestClock clock;
  TableContext context;

 private:
  TableSchema schema_;
  PlainCaster caster_;
  uint64_t random_ = 1;
  Status opened_;
  std::shared_ptr<Table> table_;
};

}  // namespace fletching::table
