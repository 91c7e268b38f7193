#include "api/flight/stream_guard.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/ipc/message.h"
#include "arrow/ipc/reader.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

#include "fletching/status.h"

#include "api/unit_text.h"
#include "base/bytes.h"
#include "ingest/ipc_metadata_guard.h"
#include "ingest/sources.h"

namespace fletching::flight {
namespace {

// RecordBatchStreamReader::Open(std::unique_ptr<MessageReader>, const IpcReadOptions&)
constexpr char kOpenSymbol[] =
    "_ZN5arrow3ipc23RecordBatchStreamReader4OpenESt10unique_ptrINS0_13MessageReaderESt14default_"
    "deleteIS3_EERKNS0_14IpcReadOptionsE";
constexpr int64_t kShareBytesMin = int64_t{1} << 20;

thread_local const StreamLimits* limits_of_thread = nullptr;

// Messages, which Flight has taken out of their frames, as the bytes of a stream again. Copies
// nothing but the frames.
class MessageBytes final : public arrow::io::InputStream {
 public:
  MessageBytes(std::unique_ptr<arrow::ipc::MessageReader> messages, const StreamLimits& limits)
      : messages_(std::move(messages)), limits_(limits) {}

  Status Close() override { return Status::OK(); }
  bool closed() const override { return false; }
  Result<int64_t> Tell() const override { return position_; }
  bool supports_zero_copy() const override { return true; }

  Result<int64_t> Read(int64_t byte_count, void* out) override {
    int64_t got = 0;
    while (got < byte_count) {
      ARROW_ASSIGN_OR_RAISE(const auto bytes, Read(byte_count - got));
      if (bytes->size() == 0) break;
      std::memcpy(static_cast<uint8_t*>(out) + got, bytes->data(),
                  static_cast<size_t>(bytes->size()));
      got += bytes->size();
    }
    return got;
  }

  // Of one part of a message at most, which is how the parts are read.
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t byte_count) override {
    while (part_ < kParts && offset_ == parts_[part_]->size()) {
      ++part_;
      offset_ = 0;
    }
    if (part_ == kParts) ARROW_RETURN_NOT_OK(NextMessage());
    const int64_t bytes = std::min(byte_count, parts_[part_]->size() - offset_);
    auto slice = arrow::SliceBuffer(parts_[part_], offset_, bytes);
    offset_ += bytes;
    position_ += bytes;
    return slice;
  }

 private:
  static constexpr size_t kParts = 3;  // frame, metadata, body

  // At the end of the stream: parts of no bytes.
  Status NextMessage() {
    share_.reset();
    ARROW_ASSIGN_OR_RAISE(const auto message, messages_->ReadNextMessage());
    const auto nothing = std::make_shared<arrow::Buffer>(nullptr, 0);
    parts_[0] = parts_[1] = parts_[2] = nothing;
    part_ = 0;
    offset_ = 0;
    if (message == nullptr) return Status::OK();
    if (message->body() != nullptr) parts_[2] = message->body();
    const int64_t body_bytes = parts_[2]->size();
    if (message->body_length() != body_bytes) {
      return InvalidArgument("Arrow stream: a message claims a body of " +
                             std::to_string(message->body_length()) + " bytes and has " +
                             std::to_string(body_bytes));
    }
    if (body_bytes > limits_.batch_bytes_max) {
      return TooLarge("Arrow stream: a batch may have " +
                      api::FormatBytes(limits_.batch_bytes_max) + "; send smaller ones");
    }
    parts_[1] = message->metadata();
    const auto metadata_bytes = static_cast<uint32_t>(parts_[1]->size());
    std::string frame(8, '\xFF');
    StoreAs(frame.data() + 4, metadata_bytes);
    parts_[0] = arrow::Buffer::FromString(std::move(frame));
    const bool unfolds = ingest::IsCompressed({parts_[1]->data(), metadata_bytes});
    share_.emplace(limits_.decode_budget,
                   unfolds ? limits_.batch_bytes_max : std::max(kShareBytesMin, body_bytes));
    return Status::OK();
  }

  std::unique_ptr<arrow::ipc::MessageReader> messages_;
  const StreamLimits& limits_;
  std::optional<api::DecodeBudget::Share> share_;
  std::shared_ptr<arrow::Buffer> parts_[kParts];
  size_t part_ = kParts;
  int64_t offset_ = 0;
  int64_t position_ = 0;
};

// What ingest reads, as Flight wants it.
class GuardedReader final : public arrow::ipc::RecordBatchStreamReader {
 public:
  explicit GuardedReader(std::shared_ptr<arrow::RecordBatchReader> batches)
      : batches_(std::move(batches)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return batches_->schema(); }
  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    return batches_->ReadNext(out);
  }
  arrow::ipc::ReadStats stats() const override { return {}; }

 private:
  std::shared_ptr<arrow::RecordBatchReader> batches_;
};

}  // namespace

void GuardStreamsOfThisThread(const StreamLimits* limits) { limits_of_thread = limits; }

bool StreamGuardIsLinked() {
  using Open = Result<std::shared_ptr<arrow::ipc::RecordBatchStreamReader>> (*)(
      std::unique_ptr<arrow::ipc::MessageReader>, const arrow::ipc::IpcReadOptions&);
  const Open ours = &arrow::ipc::RecordBatchStreamReader::Open;
  return dlsym(RTLD_DEFAULT, kOpenSymbol) == reinterpret_cast<void*>(ours);
}

}  // namespace fletching::flight

namespace arrow::ipc {

Result<std::shared_ptr<RecordBatchStreamReader>> RecordBatchStreamReader::Open(
    std::unique_ptr<MessageReader> message_reader, const IpcReadOptions& options) {
  namespace ours = fletching::flight;
  // ingest opens streams with Arrow as well; these are guarded already.
  const ours::StreamLimits* limits = std::exchange(ours::limits_of_thread, nullptr);
  if (limits == nullptr) {
    using Open = Result<std::shared_ptr<RecordBatchStreamReader>> (*)(
        std::unique_ptr<MessageReader>, const IpcReadOptions&);
    static const auto next = reinterpret_cast<Open>(dlsym(RTLD_NEXT, ours::kOpenSymbol));
    return next(std::move(message_reader), options);
  }
  auto bytes = std::make_shared<ours::MessageBytes>(std::move(message_reader), *limits);
  auto batches = fletching::ingest::OpenIpcStream(
      std::move(bytes), {.piece_bytes_max = limits->batch_bytes_max,
                         .batch_rows_max = std::numeric_limits<int64_t>::max(),
                         .keep_empty_batches = true});
  ours::limits_of_thread = limits;
  ARROW_RETURN_NOT_OK(batches);
  return std::make_shared<ours::GuardedReader>(*std::move(batches));
}

}  // namespace arrow::ipc
