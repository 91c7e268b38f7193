// An answer's columns as an Arrow IPC stream. Stage: render.
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::api {

// One stream with one batch, in one buffer. `positions` (may be null) becomes the first column,
// "_idx" uint32, never null; the others are as the batch's schema says.
// Cost: the copy of the columns and a few microseconds. The schema's message, which is half of
// those, is kept per thread for the last few shapes of answers.
Result<std::shared_ptr<arrow::Buffer>> WriteIpcStream(
    const arrow::RecordBatch& batch, const std::shared_ptr<arrow::Array>& positions);

// The same stream for rows that are too many for one buffer: a piece per batch, made when asked
// for. Threads: one at a time. Lifetime: the reader's.
class IpcStreamPieces {
 public:
  explicit IpcStreamPieces(std::shared_ptr<arrow::RecordBatchReader> rows);
  ~IpcStreamPieces();

  // The next piece, in order; null after the last. Errors: the reader's.
  Result<std::shared_ptr<arrow::Buffer>> Next();

 private:
  enum class Stage : uint8_t { kSchema, kBatches, kDone };
  std::shared_ptr<arrow::RecordBatchReader> rows_;
  Stage stage_ = Stage::kSchema;
};

}  // namespace fletching::api
