// Bodies about rows as a client sees them: keys out, columns in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/request.h"
#include "fletching/schema.h"
#include "fletching/status.h"

namespace fletching::client {

struct KeysBody {
  std::vector<std::string> names;  // of the key columns, as many as arrays
  KeyArrays keys;
  std::optional<std::vector<std::string>> columns;  // of a fetch; none: all
  std::optional<int64_t> event_time_us;             // of a delete
};

// One Arrow stream as docs/protocol.md has it for keys. Errors: kInvalidArgument: unequal lengths.
Result<std::shared_ptr<arrow::Buffer>> WriteKeys(const KeysBody& body);

// The answer to a fetch of `key_count` keys as Engine::Read would have given it. Columns point into
// `body` wherever a row stands in it for every row of the result; misses in a dense result cost a
// copy. Errors: kUnavailable: no such answer.
Result<ReadResult> ReadRows(const std::shared_ptr<arrow::Buffer>& body, int64_t key_count,
                            bool hits_only, uint64_t version);

// The rows of `source` in slices of a few MiB, without a copy. `on_rows` hears before each slice
// how many rows went by, and ends them with an error. Lifetime: `source` belongs to what is
// returned.
std::shared_ptr<arrow::RecordBatchReader> InSlices(
    std::shared_ptr<arrow::RecordBatchReader> source,
    std::function<Status(int64_t row_count)> on_rows);

// GET /api/v1/table/{name} -> what it says. Errors: kUnavailable: no such answer.
Result<TableInfo> ReadTableInfo(const std::string& json);

}  // namespace fletching::client
