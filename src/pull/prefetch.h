// Batches made by a thread of their own, a few ahead of who takes them: decoding and sealing then
// use a core each.
#pragma once

#include <memory>

#include "arrow/type_fwd.h"

namespace fletching::pull {

// At most `batches_ahead` wait. Lifetime: ends the thread when destroyed, after the batch it is at.
std::shared_ptr<arrow::RecordBatchReader> Prefetch(std::shared_ptr<arrow::RecordBatchReader> source,
                                                   int batches_ahead);

}  // namespace fletching::pull
