// Columns -> {"columns": {"name": [values...], ...}}. Stage: render.
//
//   bool true/false; integers exact; floats shortest digits, float32 as its double expansion,
//   NaN and infinities null; decimals exact; utf8; binary base64; dates, times, timestamps ISO
//   8601; lists
//
// What it writes, ingest::ParseJsonColumns reads back as the same values (NaN excepted).
#pragma once

#include <memory>
#include <string>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::api {

// `positions`: uint32 column written first under the name "_idx"; may be null.
// Errors: kUnsupported for a type that no table holds.
Result<std::string> RenderJsonColumns(const arrow::RecordBatch& batch,
                                      const arrow::Array* positions);

}  // namespace fletching::api
