// An answer's columns as an Arrow IPC stream. Stage: render.
#pragma once

#include <cstdint>
#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::api {

// The schema of an answer and the message that carries it, which is half of what an answer costs:
// kept per thread for the last few shapes of answers.
struct AnswerHead {
  std::shared_ptr<arrow::Schema> schema;   // with _idx, if it is sparse
  std::shared_ptr<arrow::Buffer> message;  // framed, as it begins a stream
};

// `values`: the schema of ReadResult::batch. `sparse`: "_idx" uint32, never null, stands in front.
Result<AnswerHead> AnswerHeadOf(const arrow::Schema& values, bool sparse);

// The answer's batch with its `positions` (may be null) as first column. Copies nothing.
std::shared_ptr<arrow::RecordBatch> WholeAnswer(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                const std::shared_ptr<arrow::Array>& positions,
                                                const AnswerHead& head);

// One stream with one batch, in one buffer. `positions` (may be null) becomes the first column,
// "_idx" uint32, never null; the others are as the batch's schema says.
// Cost: the copy of the columns and a few microseconds.
Result<std::shared_ptr<arrow::Buffer>> WriteIpcStream(
    const std::shared_ptr<arrow::RecordBatch>& batch,
    const std::shared_ptr<arrow::Array>& positions);

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
