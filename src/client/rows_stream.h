// Rows of a streamed answer, batch by batch as they arrive.
#pragma once

#include <functional>
#include <memory>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "client/http_call.h"

namespace fletching::client {

// `call`: a streamed answer whose head is there. The reader waits for the socket as it reads, up to
// the call's timeout; dropping it closes the connection. `interrupt`: as for RunCall.
// Errors, the reader's too: kInvalidArgument: no Arrow stream; kUnavailable: it ended too early.
// Threads: one at a time.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenRows(std::unique_ptr<HttpCall> call,
                                                           std::function<Status()> interrupt);

}  // namespace fletching::client
