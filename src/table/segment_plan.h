// Chooses how each column of a new segment is stored, from what is known of its rows. Stage: seal.
#pragma once

#include <vector>

#include "segment/segment_writer.h"
#include "table/prepare.h"
#include "table/version.h"

namespace fletching::table {

// What is known of one value column.
struct ColumnFacts {
  std::shared_ptr<arrow::DataType> type;  // to store it as
  uint64_t row_count = 0;
  uint64_t value_count = 0;  // not null
  bool is_complete = false;  // counts are of all rows, not of a sample
  bool is_constant = false;  // complete: all rows have the same value
};

// How segments are written, whatever they hold.
struct SealOptions {
  bool durable = true;
  bool index_in_scratch = false;  // as segment::SegmentSpec
};

// facts: aligned with state.value_columns. varying_bytes_average: see AverageRowBytes; with the
// fixed part it decides the alignment.
segment::SegmentSpec PlanSegment(const TableState& state, const std::vector<ColumnFacts>& facts,
                                 uint64_t varying_bytes_average, const SealOptions& options);

// Facts of batches that are in memory. is_complete: no further rows will come.
std::vector<ColumnFacts> MeasureBatches(const TableState& state,
                                        const std::vector<PreparedBatch>& batches,
                                        bool is_complete);

// Average bytes of key and variable-length values of a row: what the fixed part does not say.
uint64_t AverageRowBytes(const std::vector<PreparedBatch>& batches);

}  // namespace fletching::table
