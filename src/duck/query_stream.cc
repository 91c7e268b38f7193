#include "duck/query_stream.h"

#include <utility>
#include <vector>

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

namespace fletching::duck {
namespace {

class Stream final : public arrow::RecordBatchReader {
 public:
  Stream(std::shared_ptr<DuckConnection> connection, Prepared prepared)
      : connection_(std::move(connection)), api_(connection_->api()), prepared_(prepared) {}

  ~Stream() override { LetGo(); }

  Status Begin() {
    if (api_.execute_prepared_streaming(prepared_, &result_) != 0) return Error();
    options_ = api_.result_get_arrow_options(&result_);
    return ReadSchema();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    *batch = nullptr;
    if (is_done_) return Status::OK();
    Chunk chunk = api_.fetch_chunk(result_);
    if (chunk == nullptr) {
      is_done_ = true;
      return Error();
    }
    ArrowArray array{};
    const Status converted = TakeError(api_, api_.data_chunk_to_arrow(options_, chunk, &array));
    api_.destroy_data_chunk(&chunk);
    ARROW_RETURN_NOT_OK(converted);
    return arrow::ImportRecordBatch(&array, schema_).Value(batch);
  }

  Status Close() override {
    LetGo();
    is_done_ = true;
    return Status::OK();
  }

 private:
  Status Error() {
    const char* const error = api_.result_error(&result_);
    return error == nullptr || *error == '\0' ? Status::OK() : ErrorOf(error);
  }

  Status ReadSchema() {
    const uint64_t count = api_.column_count(&result_);
    std::vector<LogicalType> types;
    std::vector<const char*> names;
    for (uint64_t column = 0; column < count; ++column) {
      types.push_back(api_.column_logical_type(&result_, column));
      names.push_back(api_.column_name(&result_, column));
    }
    ArrowSchema schema{};
    const Status status =
        TakeError(api_, api_.to_arrow_schema(options_, types.data(), names.data(), count, &schema));
    for (LogicalType& type : types) api_.destroy_logical_type(&type);
    ARROW_RETURN_NOT_OK(status);
    return arrow::ImportSchema(&schema).Value(&schema_);
  }

  void LetGo() {
    if (options_ != nullptr) api_.destroy_arrow_options(&options_);
    if (prepared_ == nullptr) return;
    api_.destroy_result(&result_);
    api_.destroy_prepare(&prepared_);
    prepared_ = nullptr;
  }

  const std::shared_ptr<DuckConnection> connection_;
  const DuckApi& api_;
  Prepared prepared_;
  ResultData result_{};
  ArrowOptions options_ = nullptr;
  std::shared_ptr<arrow::Schema> schema_;
  bool is_done_ = false;
};

}  // namespace

Status TakeError(const DuckApi& api, ErrorData error) {
  if (error == nullptr) return Status::OK();
  Status status = Status::OK();
  if (api.error_data_has_error(error)) status = ErrorOf(api.error_data_message(error));
  api.destroy_error_data(&error);
  return status;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> QueryStream::Run(
    std::shared_ptr<DuckConnection> connection, Prepared prepared) {
  auto stream = std::make_shared<Stream>(std::move(connection), prepared);
  ARROW_RETURN_NOT_OK(stream->Begin());
  return stream;
}

}  // namespace fletching::duck
