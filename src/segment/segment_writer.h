// Writes one segment file: rows as they come, then everything that needs them all. Stage: seal.
//
// Does not decide the layout (layout_plan.h does) and does not know tables or versions. The file is
// of no use before Finish returned OK; on any error the caller removes it.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fletching/schema.h"
#include "fletching/status.h"

#include "io/file.h"
#include "segment/block_writer.h"
#include "segment/index_builder.h"
#include "segment/row_encoder.h"
#include "segment/row_layout.h"

namespace fletching::segment {

struct SegmentSpec {
  RowLayout layout;
  uint64_t hash_seed = 0;
  // Index in layout.columns of the event time (packed, 8 bytes), or -1: the later row wins.
  int32_t event_time_index = -1;
  std::vector<std::string> column_names;  // aligned with layout.columns; for people and tools
  bool durable = true;
  bool index_in_scratch = false;  // while it is built; see IndexBuilder
};

struct SegmentSummary {
  uint64_t row_count = 0;  // live ones
  uint64_t file_bytes = 0;
};

class SegmentWriter {
 public:
  static Result<std::unique_ptr<SegmentWriter>> Create(io::FileSystem* file_system,
                                                       const std::string& path, SegmentSpec spec);

  // Columns of `batch` are aligned with spec.layout.columns, those not packed included.
  Status Append(const RowBatch& batch);

  // Private memory held until Finish, beyond 12 bytes a row of the index: values of sparse columns.
  uint64_t sparse_bytes() const { return sparse_bytes_; }
  // Bytes of rows so far; a segment ends at 2^32 row addresses.
  uint64_t row_bytes() const;
  uint64_t row_count() const { return row_count_; }

  Result<SegmentSummary> Finish();

 private:
  struct ColumnData {  // sparse and constant columns while they are collected
    std::vector<uint32_t> rows;
    std::vector<uint32_t> ends;  // variable widths
    std::vector<uint8_t> values;
    bool has_constant = false;
    uint64_t value_count = 0;  // packed columns: rows that are neither null nor deleted
  };

  SegmentWriter(std::unique_ptr<io::AppendFile> file, SegmentSpec spec,
                std::unique_ptr<io::ScratchMemory> scratch);
  void CountValues(const RowBatch& batch);
  void Collect(const RowBatch& batch, int64_t first, int64_t count,
               const std::vector<uint32_t>& rows);
  Result<IndexBuilder::Collision> Resolve(uint32_t older_row, uint32_t newer_row);
  Result<std::vector<uint8_t>> ReadKey(uint32_t row);
  Result<int64_t> ReadEventTime(uint32_t row, size_t key_bytes);
  Status WriteColumnData(std::vector<format::ColumnEntry>* entries);
  Status WriteColumns(const std::vector<format::ColumnEntry>& entries,
                      format::SegmentFooter* footer);

  SegmentSpec spec_;
  BlockWriter out_;
  IndexBuilder index_;
  std::vector<ColumnData> data_;
  uint64_t row_count_ = 0;
  uint64_t row_end_ = 0;  // file offset behind the last row
  uint64_t tombstone_count_ = 0;
  uint64_t sparse_bytes_ = 0;
};

}  // namespace fletching::segment
