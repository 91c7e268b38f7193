#include "ingest/parquet_rows.h"

#include <algorithm>
#include <string>
#include <utility>

#include "arrow/array.h"
#include "arrow/array/concatenate.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "parquet/arrow/reader.h"

#include "ingest/spooled_body.h"

namespace fletching::ingest {
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

// What is read at once to get past rows before a window.
constexpr int64_t kSkipRows = 64 * 1024;

Status RowsDiffer(int group) {
  return InvalidArgument("row group " + std::to_string(group) +
                         " does not hold as many rows as the footer says");
}

// One pass over some columns of a row group.
class ColumnPass {
 public:
  ColumnPass(const RowGroupPlace& place, int64_t step_rows) : place_(place), step_(step_rows) {}

  Status Open(const std::vector<int>& leaves) {
    place_.file->set_batch_size(step_);
    ARROW_ASSIGN_OR_RAISE(reader_, place_.file->GetRecordBatchReader({place_.group}, leaves));
    return Status::OK();
  }

  // Rows [first, ...) of the next batch that has any of them; null at the end.
  Result<BatchPtr> NextFrom(int64_t first) {
    while (true) {
      BatchPtr batch;
      ARROW_RETURN_NOT_OK(reader_->ReadNext(&batch));
      if (batch == nullptr) {
        return row_ == place_.row_count ? Result<BatchPtr>(nullptr) : RowsDiffer(place_.group);
      }
      const int64_t before = std::exchange(row_, row_ + batch->num_rows());
      if (row_ > place_.row_count) return RowsDiffer(place_.group);
      if (row_ > first) return batch->Slice(std::max<int64_t>(first - before, 0));
    }
  }

 private:
  const RowGroupPlace& place_;
  const int64_t step_;
  std::unique_ptr<arrow::RecordBatchReader> reader_;
  int64_t row_ = 0;
};

class StreamedRows final : public RowGroupRows {
 public:
  StreamedRows(const RowGroupPlace& place, int64_t step_rows, int64_t first_row)
      : place_(place), pass_(place_, step_rows), first_row_(first_row) {}

  Result<BatchPtr> Next() override {
    if (!std::exchange(opened_, true)) {
      std::vector<int> leaves;
      for (const auto& column : place_.leaves) {
        leaves.insert(leaves.end(), column.begin(), column.end());
      }
      ARROW_RETURN_NOT_OK(pass_.Open(leaves));
    }
    return pass_.NextFrom(first_row_);
  }

 private:
  const RowGroupPlace place_;
  ColumnPass pass_;
  const int64_t first_row_;
  bool opened_ = false;
};

class WindowedRows final : public RowGroupRows {
 public:
  WindowedRows(const RowGroupPlace& place, int64_t step_rows, int64_t first_row,
               arrow::MemoryPool* pool)
      : place_(place), step_rows_(step_rows), next_row_(first_row), pool_(pool) {}

  Result<BatchPtr> Next() override {
    const int64_t rows = std::min(step_rows_, place_.row_count - next_row_);
    if (rows == 0) return nullptr;
    arrow::ArrayVector columns;
    for (const std::vector<int>& leaves : place_.leaves) {
      ARROW_ASSIGN_OR_RAISE(auto column, ReadColumn(leaves, rows));
      columns.push_back(std::move(column));
      ForgetReadPages(*place_.source);
    }
    next_row_ += rows;
    return arrow::RecordBatch::Make(place_.schema, rows, std::move(columns));
  }

 private:
  Result<std::shared_ptr<arrow::Array>> ReadColumn(const std::vector<int>& leaves, int64_t rows) {
    ColumnPass pass(place_, std::min(step_rows_, kSkipRows));
    ARROW_RETURN_NOT_OK(pass.Open(leaves));
    arrow::ArrayVector parts;
    for (int64_t missing = rows; missing > 0;) {
      ARROW_ASSIGN_OR_RAISE(const BatchPtr batch, pass.NextFrom(next_row_));
      if (batch == nullptr || batch->num_columns() != 1) return RowsDiffer(place_.group);
      parts.push_back(batch->column(0)->Slice(0, missing));
      missing -= parts.back()->length();
    }
    if (parts.size() == 1) return parts[0];
    return arrow::Concatenate(parts, pool_);
  }

  const RowGroupPlace place_;
  const int64_t step_rows_;
  int64_t next_row_;
  arrow::MemoryPool* const pool_;
};

}  // namespace

std::unique_ptr<RowGroupRows> RowGroupRows::Make(const RowGroupPlace& place,
                                                 const RowGroupPlan& plan, int64_t first_row,
                                                 arrow::MemoryPool* pool) {
  if (!plan.windowed) return std::make_unique<StreamedRows>(place, plan.step_rows, first_row);
  return std::make_unique<WindowedRows>(place, plan.step_rows, first_row, pool);
}

}  // namespace fletching::ingest
