// The rows of one row group, some at a time. Only parquet_source.cc needs this.
//
// Two ways. Streamed: all columns advance together, each holding the page it is in and its
// dictionary (2 MiB a column in files by Arrow). Windowed, for files of so many columns or so large
// pages that this outgrows the budget: one column after the other is read from the start of the
// row group up to the end of a window of rows, so pages before the window are decoded again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace arrow::io {
class FileInterface;
}
namespace parquet::arrow {
class FileReader;
}

namespace fletching::ingest {

struct RowGroupPlan {
  bool windowed = false;
  int64_t step_rows = 0;  // rows of a batch, or of a window
};

struct RowGroupPlace {
  parquet::arrow::FileReader* file;
  const arrow::io::FileInterface* source;  // that `file` reads
  int group;
  // Leaves of the Parquet tree, by column: a struct has several.
  std::vector<std::vector<int>> leaves;
  int64_t row_count;
  std::shared_ptr<arrow::Schema> schema;
};

// May throw what parquet-cpp throws. Lifetime: the file must outlive it.
class RowGroupRows {
 public:
  // Starts at `first_row`, which may lie inside of what another plan would call a step.
  static std::unique_ptr<RowGroupRows> Make(const RowGroupPlace& place, const RowGroupPlan& plan,
                                            int64_t first_row, arrow::MemoryPool* pool);
  virtual ~RowGroupRows() = default;

  // At least one row, at most step_rows; null at the end of the row group.
  // Errors: kInvalidArgument when the columns do not have the rows that the footer claims.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

}  // namespace fletching::ingest
