#include "client/rows_stream.h"

#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"

#include "ingest/sources.h"

namespace fletching::client {
namespace {

class BodyStream final : public arrow::io::InputStream {
 public:
  BodyStream(std::unique_ptr<HttpCall> call, std::function<Status()> interrupt)
      : call_(std::move(call)), interrupt_(std::move(interrupt)) {}

  Result<int64_t> Read(int64_t count, void* out) override {
    auto* bytes = static_cast<uint8_t*>(out);
    int64_t done = 0;
    while (done < count) {
      ARROW_ASSIGN_OR_RAISE(const int64_t got, call_->ReadBody(bytes + done, count - done));
      if (got == 0) break;
      if (got < 0) {
        ARROW_RETURN_NOT_OK(WaitFor(*call_, HttpCall::Wait::kRead, interrupt_));
        continue;
      }
      done += got;
    }
    position_ += done;
    return done;
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t count) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(count));
    ARROW_ASSIGN_OR_RAISE(const int64_t got, Read(count, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(got, false));
    return buffer;
  }
  Status Close() override {
    call_.reset();
    return Status::OK();
  }
  bool closed() const override { return call_ == nullptr; }
  Result<int64_t> Tell() const override { return position_; }

 private:
  std::unique_ptr<HttpCall> call_;
  std::function<Status()> interrupt_;
  int64_t position_ = 0;
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenRows(std::unique_ptr<HttpCall> call,
                                                           std::function<Status()> interrupt) {
  // Whoever keeps all batches may: the memory is the caller's own.
  constexpr int64_t kNoBound = int64_t{1} << 40;
  return ingest::OpenIpcStream(std::make_shared<BodyStream>(std::move(call), std::move(interrupt)),
                               {.piece_bytes_max = kNoBound});
}

}  // namespace fletching::client
