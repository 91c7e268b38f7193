#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/ipc/message.h"
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

// Schemas by the message that carries them. Unpacking one costs as much as all the rest of a short
// stream, and requests and answers come in few shapes, so a thread keeps the last ones it met.
class KnownSchemas {
 public:
  explicit KnownSchemas(const DecodeLimits& limits) : limits_(limits) {}

  static constexpr int64_t kMessageBytesMax = 8192;

  // The schema whose message `first` begins with; else null. bytes: of that message.
  std::shared_ptr<arrow::Schema> Find(std::string_view first, int64_t* bytes) const {
    for (const Known& known : Kept().schemas) {
      if (known.schema == nullptr || !first.starts_with(known.message)) continue;
      if (known.nesting_max != limits_.nesting_max) continue;
      *bytes = static_cast<int64_t>(known.message.size());
      return known.schema;
    }
    return nullptr;
  }

  // `first`: the first bytes of a stream; `schema`: what Arrow made of them.
  void Keep(std::string_view first, const std::shared_ptr<arrow::Schema>& schema) {
    std::array<uint32_t, 2> prefix;  // a mark, then the bytes of the message behind it
    if (first.size() < sizeof(prefix) || HasDictionary(schema->fields())) return;
    std::memcpy(prefix.data(), first.data(), sizeof(prefix));
    const uint64_t bytes = sizeof(prefix) + uint64_t{prefix[1]};
    if (prefix[0] != 0xFFFFFFFF || bytes > first.size()) return;
    auto& [schemas, next] = Kept();
    schemas[next++ % schemas.size()] = {std::string(first.substr(0, bytes)), schema,
                                        limits_.nesting_max};
  }

 private:
  struct Known {
    std::string message;
    std::shared_ptr<arrow::Schema> schema;
    int nesting_max = 0;  // it was found to keep
  };
  struct KeptSchemas {
    std::array<Known, 4> schemas;
    size_t next = 0;
  };

  static KeptSchemas& Kept() {
    thread_local KeptSchemas kept;
    return kept;
  }

  // Their values come between the schema and the rows; Arrow reads those streams.
  static bool HasDictionary(const arrow::FieldVector& fields) {
    return std::ranges::any_of(fields, [](const std::shared_ptr<arrow::Field>& field) {
      const arrow::Type::type type = field->type()->id();
      return type == arrow::Type::DICTIONARY || type == arrow::Type::EXTENSION ||
             HasDictionary(field->type()->fields());
    });
  }

  const DecodeLimits& limits_;
};

class IpcStreamReader final : public arrow::RecordBatchReader {
 public:
  IpcStreamReader(std::shared_ptr<arrow::io::InputStream> source, const DecodeLimits& limits)
      : limits_(limits),
        budget_(limits.piece_bytes_max),
        source_(std::move(source)),
        stream_(std::make_shared<GuardedStream>(source_, limits, budget_.pool())) {
    options_.memory_pool = budget_.pool();
    options_.max_recursion_depth = limits_.nesting_max;
    options_.use_threads = false;
  }

  Status Open() {
    KnownSchemas known(limits_);
    // Only what lies in memory lets itself be looked at before it is read.
    const std::string_view first =
        source_->Peek(KnownSchemas::kMessageBytesMax).ValueOr(std::string_view());
    int64_t message_bytes = 0;
    schema_ = known.Find(first, &message_bytes);
    if (schema_ != nullptr) return source_->Advance(message_bytes);
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(stream_, options_);
    if (!reader.ok()) {
      const Status status = BodyError(kBodyKind, reader.status(), budget_);
      if (CodeOf(status) != ErrorCode::kInvalidArgument) return status;
      const std::string_view hint = WrongFormatHint(stream_->first_bytes());
      return InvalidArgument(status.message() + std::string(hint));
    }
    reader_ = *std::move(reader);
    schema_ = reader_->schema();
    const bool is_native = reader_->stats().original_endianness == arrow::Endianness::Native;
    if (is_native) known.Keep(first, schema_);
    return Status::OK();
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

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
  // Null at the end.
  Result<std::shared_ptr<arrow::RecordBatch>> Decode() {
    if (reader_ != nullptr) return reader_->Next();
    ARROW_ASSIGN_OR_RAISE(const auto message,
                          arrow::ipc::ReadMessage(stream_.get(), budget_.pool()));
    if (message == nullptr) return nullptr;
    return arrow::ipc::ReadRecordBatch(*message, schema_, nullptr, options_);
  }

  // Leaves batch_ null for a batch without rows, unless these are kept.
  Status ReadBatch() {
    const int64_t before = stream_->position();
    auto decoded = Decode();
    if (!decoded.ok()) return BodyError(kBodyKind, decoded.status(), budget_);
    std::shared_ptr<arrow::RecordBatch> batch = *std::move(decoded);
    if (batch == nullptr) {
      ended_ = true;
      return CheckEnd();
    }
    // Columns of no bytes (null, or none at all) let a header claim any number of rows.
    if (batch->num_rows() > std::numeric_limits<int32_t>::max()) {
      return TooLarge("Arrow stream: a batch claims " + std::to_string(batch->num_rows()) +
                      " rows; send smaller record batches");
    }
    if (batch->num_rows() == 0 && !limits_.keep_empty_batches) return Status::OK();
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
    bytes_per_row_ = (stream_->position() - before) / std::max<int64_t>(1, batch_->num_rows()) + 1;
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
  arrow::ipc::IpcReadOptions options_;
  std::shared_ptr<arrow::io::InputStream> source_;
  std::shared_ptr<GuardedStream> stream_;  // over source_
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> reader_;  // null: the schema was known
  std::shared_ptr<arrow::RecordBatch> batch_;                    // being handed out slice by slice
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
