#include "api/flight/put_stream.h"

#include <chrono>
#include <string>
#include <thread>

#include "arrow/record_batch.h"
#include "arrow/util/byte_size.h"

#include "api/unit_text.h"

namespace fletching::flight {
namespace {

// One thread of gRPC's tells both, a few microseconds apart; many times that, and still less than
// a write takes to become durable.
constexpr auto kPause = std::chrono::microseconds(200);

}  // namespace

Status CheckBatchBytes(const arrow::RecordBatch& batch, int64_t bytes_max) {
  if (arrow::util::TotalBufferSize(batch) <= bytes_max) return Status::OK();
  return TooLarge("a batch may have " + api::FormatBytes(bytes_max) + "; send smaller ones");
}

Status AwaitEndOfCall(const std::function<bool()>& is_cancelled) {
  bool cancelled = is_cancelled();
  if (!cancelled) {
    std::this_thread::sleep_for(kPause);
    cancelled = is_cancelled();
  }
  if (!cancelled) return Status::OK();
  return Cancelled("the stream broke off; nothing was written");
}

}  // namespace fletching::flight
