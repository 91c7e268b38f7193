// One column of an answer while rows of several sources are gathered into it.
// Stages: gather (sources write) and assemble (Finish). Threads: one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "base/bytes.h"
#include "segment/locate.h"
#include "segment/physical.h"
#include "segment/row_layout.h"

namespace fletching::segment {

class ColumnOutput {
 public:
  // type: what the answer has; sources may store a narrower one (see IsWidening).
  // values: row_count * width bytes for fixed widths (may be a slice of one buffer shared by all
  // columns); ignored for variable ones.
  // all_found: false when some rows will be set by no source: they come out as zeros and nulls.
  ColumnOutput(std::shared_ptr<arrow::DataType> type, int64_t row_count,
               std::shared_ptr<arrow::Buffer> values, bool all_found);

  // Packed rows of a segment or memory table: variable-length columns of rows begin .. end, and
  // fixed ones stored in another type. GatherPackedColumns (gather.h) copies the others itself.
  void GatherText(const RowLayout& layout, const LayoutColumn& column, const RowSelection& rows,
                  int64_t begin, int64_t end);
  void GatherConverted(const LayoutColumn& column, const RowSelection& rows);
  void GatherNulls(const LayoutColumn& column, const RowSelection& rows);
  // Where values of a fixed width go; null when the source stores another type.
  uint8_t* TargetFor(const LayoutColumn& column) const;
  // One value for all of `rows`.
  void FillConstant(const LayoutColumn& column, ByteSpan value, const RowSelection& rows);
  void SetValue(const LayoutColumn& column, int64_t row, ByteSpan value);
  void SetAllNull(const RowSelection& rows);
  void SetNull(int64_t row);

  // Once, at the end. found: bit per row, or null when all were found. data: a new one.
  Status FinishData(const std::shared_ptr<arrow::Buffer>& found, int64_t found_count,
                    arrow::ArrayData* data);
  Result<std::shared_ptr<arrow::Array>> Finish(const std::shared_ptr<arrow::Buffer>& found,
                                               int64_t found_count);

 private:
  uint8_t* EnsureValidity();

  std::shared_ptr<arrow::DataType> type_;
  Physical physical_;
  int64_t row_count_;
  std::shared_ptr<arrow::Buffer> values_;
  uint8_t* target_ = nullptr;
  std::vector<ByteSpan> spans_;
  std::shared_ptr<arrow::Buffer> validity_;  // made when the first null is met
};

}  // namespace fletching::segment
