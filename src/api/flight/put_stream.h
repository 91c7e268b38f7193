// What is checked of batches on their way in, without knowing Flight.
#pragma once

#include <cstdint>
#include <functional>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::flight {

// Rows that are handed on at a time; longer batches are cut, without a copy.
inline constexpr int64_t kSliceRows = 64 * 1024;

// Errors: kTooLarge.
Status CheckBatchBytes(const arrow::RecordBatch& batch, int64_t bytes_max);

// To be asked when a stream has ended: did the client end it, or did it break off? gRPC tells both
// alike, and tells of the break a moment after the end. Waits for that moment.
// Errors: kCancelled.
Status AwaitEndOfCall(const std::function<bool()>& is_cancelled);

}  // namespace fletching::flight
