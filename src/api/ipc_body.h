// Keys of a request out of an Arrow IPC stream. Stage: parse.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/request.h"
#include "fletching/schema.h"
#include "fletching/status.h"

#include "api/body.h"

namespace fletching::api {

// What the schema of a stream of keys says about all of its batches.
struct KeyStream {
  std::vector<int> places;  // column of the stream for each key column, in the order of schema.key
  std::optional<std::vector<std::string>> columns;  // schema metadata "columns", a JSON list
  bool all_columns = false;                         // or "*"
  std::optional<int64_t> event_time_us;             // schema metadata "event_time"
};

// The stream's columns must be exactly the key columns, in any order.
// Errors: kInvalidArgument: key columns missing or too many, metadata that is no JSON list.
Result<KeyStream> ParseKeySchema(const arrow::Schema& stream, const TableSchema& schema);

// Fully validated: after OK every key may be touched. Errors: kInvalidArgument.
Result<KeyArrays> KeysOfBatch(const arrow::RecordBatch& batch, const KeyStream& stream);

struct IpcKeysRequest {
  KeyArrays keys;                                   // in the order of schema.key
  std::optional<std::vector<std::string>> columns;  // schema metadata "columns", a JSON list
  bool all_columns = false;                         // or "*"
  std::optional<int64_t> event_time_us;             // schema metadata "event_time"
};

// The stream's columns are exactly the key columns, in any order, in any number of batches.
// Fully validated: after OK every key may be touched.
// Errors: kInvalidArgument: not a stream, key columns missing or too many, null keys, metadata
// that is no JSON list of strings; kTooLarge.
Result<IpcKeysRequest> ParseIpcKeys(const Body& body, const TableSchema& schema);

}  // namespace fletching::api
