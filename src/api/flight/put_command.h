// The command of a DoPut -> where and how to write. Stage: parse.
#pragma once

#include <string_view>

#include "fletching/request.h"
#include "fletching/status.h"

namespace fletching::flight {

// {"table": "docs", "mode": "patch", "extra_columns": "error"}; all but the table may be left out.
// Errors: kInvalidArgument, also for members that are not known: a misspelt one must not turn a
// patch into a replacement.
Result<WriteRequest> ParsePutCommand(std::string_view text);

}  // namespace fletching::flight
