#include "api/ipc_answer.h"

#include <array>
#include <string>
#include <utility>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

#include "api/schema_json.h"

namespace fletching::api {
namespace {

constexpr size_t kKeptHeads = 8;
constexpr std::array<uint8_t, 8> kEndOfStream = {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};

bool Alike(const arrow::Field& a, const arrow::Field& b) {
  return a.name() == b.name() && a.nullable() == b.nullable() &&
         (a.type() == b.type() || a.type()->Equals(*b.type()));
}

bool Fits(const AnswerHead& head, const arrow::Schema& values, bool sparse) {
  const int first = sparse ? 1 : 0;
  if (head.schema == nullptr || head.schema->num_fields() != values.num_fields() + first) {
    return false;
  }
  if ((values.num_fields() + first > 0 && head.schema->field(0)->name() == kIndexColumn) !=
      sparse) {
    return false;
  }
  for (int i = 0; i < values.num_fields(); ++i) {
    if (!Alike(*head.schema->field(i + first), *values.field(i))) return false;
  }
  return true;
}

Result<AnswerHead> MakeHead(const arrow::Schema& values, bool sparse) {
  arrow::FieldVector fields;
  if (sparse) fields.push_back(arrow::field(std::string(kIndexColumn), arrow::uint32(), false));
  fields.insert(fields.end(), values.fields().begin(), values.fields().end());
  AnswerHead head;
  head.schema = arrow::schema(std::move(fields));
  ARROW_ASSIGN_OR_RAISE(head.message, arrow::ipc::SerializeSchema(*head.schema));
  return head;
}

}  // namespace

Result<AnswerHead> AnswerHeadOf(const arrow::Schema& values, bool sparse) {
  thread_local std::array<AnswerHead, kKeptHeads> kept;
  thread_local size_t next = 0;
  for (const AnswerHead& head : kept) {
    if (Fits(head, values, sparse)) return head;
  }
  ARROW_ASSIGN_OR_RAISE(AnswerHead head, MakeHead(values, sparse));
  kept[next++ % kKeptHeads] = head;
  return head;
}

std::shared_ptr<arrow::RecordBatch> WholeAnswer(const std::shared_ptr<arrow::RecordBatch>& batch,
                                                const std::shared_ptr<arrow::Array>& positions,
                                                const AnswerHead& head) {
  if (positions == nullptr) return batch;
  arrow::ArrayDataVector columns = {positions->data()};
  columns.insert(columns.end(), batch->column_data().begin(), batch->column_data().end());
  return arrow::RecordBatch::Make(head.schema, batch->num_rows(), std::move(columns));
}

Result<std::shared_ptr<arrow::Buffer>> WriteIpcStream(
    const std::shared_ptr<arrow::RecordBatch>& batch,
    const std::shared_ptr<arrow::Array>& positions) {
  ARROW_ASSIGN_OR_RAISE(const AnswerHead head,
                        AnswerHeadOf(*batch->schema(), positions != nullptr));
  const auto answer = WholeAnswer(batch, positions, head);
  const arrow::ipc::IpcWriteOptions options;
  arrow::ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(*answer, options, &payload));
  const int64_t bytes = head.message->size() + payload.metadata->size() + payload.body_length + 64;
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create(bytes));
  ARROW_RETURN_NOT_OK(sink->Write(head.message));
  int32_t ignored = 0;
  ARROW_RETURN_NOT_OK(arrow::ipc::WriteIpcPayload(payload, options, sink.get(), &ignored));
  ARROW_RETURN_NOT_OK(sink->Write(kEndOfStream.data(), kEndOfStream.size()));
  return sink->Finish();
}

IpcStreamPieces::IpcStreamPieces(std::shared_ptr<arrow::RecordBatchReader> rows)
    : rows_(std::move(rows)) {}

IpcStreamPieces::~IpcStreamPieces() = default;

Result<std::shared_ptr<arrow::Buffer>> IpcStreamPieces::Next() {
  if (stage_ == Stage::kDone) return nullptr;
  if (stage_ == Stage::kSchema) {
    stage_ = Stage::kBatches;
    return arrow::ipc::SerializeSchema(*rows_->schema());
  }
  std::shared_ptr<arrow::RecordBatch> batch;
  ARROW_RETURN_NOT_OK(rows_->ReadNext(&batch));
  if (batch == nullptr) {
    stage_ = Stage::kDone;
    return arrow::Buffer::FromString(std::string(kEndOfStream.begin(), kEndOfStream.end()));
  }
  const arrow::ipc::IpcWriteOptions options;
  arrow::ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(*batch, options, &payload));
  const int64_t bytes = payload.metadata->size() + payload.body_length + 64;
  ARROW_ASSIGN_OR_RAISE(auto sink, arrow::io::BufferOutputStream::Create(bytes));
  int32_t ignored = 0;
  ARROW_RETURN_NOT_OK(arrow::ipc::WriteIpcPayload(payload, options, sink.get(), &ignored));
  return sink->Finish();
}

}  // namespace fletching::api
