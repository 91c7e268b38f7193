// From a batch of a caller to columns ready to be sealed. Stage: check.
// Every batch from outside passes here: nothing behind it meets an unchecked value.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/request.h"

#include "segment/keys.h"
#include "segment/physical.h"
#include "segment/row_encoder.h"
#include "segment/row_layout.h"
#include "table/version.h"

namespace fletching::table {

// Casts and validates columns; the ingest room implements it. Given by the engine, because tables
// do not know where batches come from.
class BatchCaster {
 public:
  virtual ~BatchCaster() = default;
  virtual Status Validate(const arrow::Array& column) const = 0;
  // strict: float64 does not become float32.
  virtual Result<std::shared_ptr<arrow::Array>> Cast(const std::shared_ptr<arrow::Array>& column,
                                                     const std::shared_ptr<arrow::DataType>& type,
                                                     bool strict) const = 0;
};

struct PreparedBatch {
  int64_t row_count = 0;
  segment::KeyBatch keys;
  std::vector<segment::PhysicalColumn> columns;  // aligned with TableState::value_columns
  std::vector<bool> is_given;                    // likewise; false only for patches
  std::vector<int64_t> times_us;                 // per row, when rows keep their commit time
  std::vector<uint8_t> tombstones;               // per row, only for deletes

  segment::RowBatch Rows() const;
};

// Errors: kSchemaMismatch naming the column (type, null, missing, extra, duplicate).
Result<PreparedBatch> PrepareBatch(const TableState& state, const BatchCaster& caster,
                                   const arrow::RecordBatch& batch, WriteMode mode,
                                   bool ignore_extra_columns, int64_t now_us);

// Casts keys of a request to the key types and encodes them.
// Errors: kInvalidArgument (count of columns, lengths, nulls), kSchemaMismatch.
Result<segment::KeyBatch> PrepareKeys(const TableState& state, const BatchCaster& caster,
                                      const KeyArrays& keys);

Result<PreparedBatch> PrepareDelete(const TableState& state, segment::KeyBatch keys,
                                    int64_t event_time_us, int64_t now_us);

// The columns of `batch` in the order of a segment's layout.
segment::RowBatch RowsForLayout(const TableState& state, const PreparedBatch& batch,
                                const segment::RowLayout& layout);

// Rows as the log and the memory table want them: RowPrefix + row in the full layout.
Status EncodeLogRows(const TableState& state, const PreparedBatch& batch,
                     std::vector<uint8_t>* rows_out);

}  // namespace fletching::table
