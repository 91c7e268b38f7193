#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/ipc/reader.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/align_util.h"

#include "ingest/budget.h"
#include "ingest/ipc_metadata_guard.h"
#include "ingest/sources.h"
#include "ingest/spooled_body.h"

namespace fletching::ingest {
namespace {

constexpr std::string_view kBodyKind = "Arrow stream";
// A stream that is copied is taken in steps of this size: a length that lies then costs one step.
constexpr int64_t kReadStepBytes = int64_t{1} << 20;
// Pages of a mapped body that may stay resident behind the reader.
constexpr int64_t kForgetBytes = int64_t{16} << 20;

// Stands between the body and Arrow's reader, which believes every length it reads.
class GuardedStream final : public arrow::io::InputStream {
 public:
  GuardedStream(std::shared_ptr<arrow::io::InputStream> source, const DecodeLimits& limits,
                arrow::MemoryPool* pool)
      : source_(std::move(source)), limits_(limits), pool_(pool) {}

  Status Close() override { return source_->Close(); }
  bool closed() const override { return source_->closed(); }
  Result<int64_t> Tell() const override { return position_; }
  bool supports_zero_copy() const override { return source_->supports_zero_copy(); }

  Result<int64_t> Read(int64_t byte_count, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, source_->Read(byte_count, out));
    if (position_ == 0)
      first_bytes_.assign(static_cast<const char*>(out), static_cast<size_t>(got));
    position_ += got;
    metadata_is_next_ = true;
    return got;
  }

  // Arrow reads the prefix of a message with the other Read, then its metadata and its body here.
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t byte_count) override {
    if (byte_count < 0) return InvalidArgument("a message claims a negative length");
    std::shared_ptr<arrow::Buffer> bytes;
    if (source_->supports_zero_copy()) {
      ARROW_ASSIGN_OR_RAISE(bytes, source_->Read(byte_count));
    } else {
      ARROW_ASSIGN_OR_RAISE(bytes, Copy(byte_count));
    }
    position_ += bytes->size();
    if (std::exchange(metadata_is_next_, false) && bytes->size() == byte_count) {
      const ByteSpan metadata(bytes->data(), static_cast<size_t>(bytes->size()));
      ARROW_RETURN_NOT_OK(CheckIpcMetadata(metadata, limits_));
    }
    return bytes;
  }

  const std::string& first_bytes() const { return first_bytes_; }
  int64_t position() const { return position_; }
  const arrow::io::InputStream& source() const { return *source_; }

 private:
  Result<std::shared_ptr<arrow::Buffer>> Copy(int64_t byte_count) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> bytes,
                          arrow::AllocateResizableBuffer(0, pool_));
    int64_t got = 0;
    while (got < byte_count) {
      const int64_t step = std::min(byte_count - got, std::max(kReadStepBytes, got));
      ARROW_RETURN_NOT_OK(bytes->Resize(got + step, /*shrink_to_fit=*/false));
      ARROW_ASSIGN_OR_RAISE(const int64_t read, source_->Read(step, bytes->mutable_data() + got));
      got += read;
      if (read < step) break;
    }
    ARROW_RETURN_NOT_OK(bytes->Resize(got));
    return bytes;
  }

  std::shared_ptr<arrow::io::InputStream> source_;
  const DecodeLimits limits_;
  arrow::MemoryPool* const pool_;
  std::string first_bytes_;
  int64_t position_ = 0;
  bool metadata_is_next_ = false;
};

// Bodies sent under the wrong content type, by their first bytes; "" for anything else.
std::string_view WrongFormatHint(std::string_view first_bytes) {
  if (first_bytes.empty()) return "; the body is empty";
  if (std::string_view("ARROW1").starts_with(first_bytes)) {
    return "; this is an Arrow file (Feather): write it as a stream, for example with "
           "pyarrow.ipc.new_stream";
  }
  if (first_bytes == "PAR1") {
    return "; this is Parquet: send it as application/vnd.apache.parquet";
  }
  if (first_bytes[0] == '{' || first_bytes[0] == '[') {
    return "; this looks like JSON: send it as application/json";
  }
  return "";
}

class IpcStreamReader final : public arrow::RecordBatchReader {
 public:
  IpcStreamReader(std::shared_ptr<arrow::io::InputStream> source, const DecodeLimits& limits)
      : limits_(limits),
        budget_(limits.piece_bytes_max),
        stream_(std::make_shared<GuardedStream>(std::move(source), limits, budget_.pool())) {}

  Status Open() {
    arrow::ipc::IpcReadOptions options;
    options.memory_pool = budget_.pool();
    options.max_recursion_depth = limits_.nesting_max;
    options.use_threads = false;
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(stream_, options);
    if (!reader.ok()) {
      const Status status = BodyError(kBodyKind, reader.status(), budget_);
      if (CodeOf(status) != ErrorCode::kInvalidArgument) return status;
      const std::string_view hint = WrongFormatHint(stream_->first_bytes());
      return InvalidArgument(status.message() + std::string(hint));
    }
    reader_ = *std::move(reader);
    return Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    ARROW_RETURN_NOT_OK(failure_);
    while (batch_ == nullptr && !ended_) {
      failure_ = ReadBatch();
      ARROW_RETURN_NOT_OK(failure_);
    }
    if (batch_ == nullptr) return Status::OK();
    const int64_t rows = std::min(limits_.batch_rows_max, batch_->num_rows() - next_row_);
    ForgetPages(rows);
    *out = batch_->Slice(next_row_, rows);
    next_row_ += rows;
    if (next_row_ == batch_->num_rows()) batch_ = nullptr;
    return Status::OK();
  }

 private:
  // Leaves batch_ null for a batch without rows.
  Status ReadBatch() {
    const int64_t before = stream_->position();
    std::shared_ptr<arrow::RecordBatch> batch;
    if (const Status status = reader_->ReadNext(&batch); !status.ok()) {
      return BodyError(kBodyKind, status, budget_);
    }
    if (batch == nullptr) {
      ended_ = true;
      return CheckEnd();
    }
    // Columns of no bytes (null, or none at all) let a header claim any number of rows.
    if (batch->num_rows() > std::numeric_limits<int32_t>::max()) {
      return TooLarge("Arrow stream: a batch claims " + std::to_string(batch->num_rows()) +
                      " rows; send smaller record batches");
    }
    if (batch->num_rows() == 0) return Status::OK();
    if (const Status status = batch->Validate(); !status.ok()) {
      return BodyError(kBodyKind, status, budget_);
    }
    // Misaligned buffers are legal in the format and undefined behaviour in every loop over them.
    // The reader's own option for this counts nulls before anyone has checked the buffers' lengths.
    auto aligned = arrow::util::EnsureAlignment(std::move(batch), arrow::util::kValueAlignment,
                                                budget_.pool());
    if (!aligned.ok()) return BodyError(kBodyKind, aligned.status(), budget_);
    batch_ = *std::move(aligned);
    next_row_ = 0;
    bytes_per_row_ = (stream_->position() - before) / batch_->num_rows() + 1;
    return Status::OK();
  }

  // Two streams glued together would otherwise lose the second without a word.
  Status CheckEnd() {
    std::array<char, 1> byte;
    ARROW_ASSIGN_OR_RAISE(const int64_t got, stream_->Read(1, byte.data()));
    if (got == 0) return Status::OK();
    return InvalidArgument(
        "Arrow stream: bytes follow the end of the stream; send one stream in a body");
  }

  void ForgetPages(int64_t rows) {
    unforgotten_bytes_ += rows * bytes_per_row_;
    if (unforgotten_bytes_ < kForgetBytes) return;
    ForgetReadPages(stream_->source());
    unforgotten_bytes_ = 0;
  }

  const DecodeLimits limits_;
  Budget budget_;  // before what allocates from it
  std::shared_ptr<GuardedStream> stream_;
  std::shared_ptr<arrow::RecordBatchReader> reader_;
  std::shared_ptr<arrow::RecordBatch> batch_;  // being handed out slice by slice
  int64_t next_row_ = 0;
  int64_t bytes_per_row_ = 0;
  int64_t unforgotten_bytes_ = 0;
  bool ended_ = false;
  Status failure_;
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenIpcStream(
    std::shared_ptr<arrow::io::InputStream> source, const DecodeLimits& limits) {
  auto reader = std::make_shared<IpcStreamReader>(std::move(source), limits);
  ARROW_RETURN_NOT_OK(reader->Open());
  return reader;
}

}  // namespace fletching::ingest
