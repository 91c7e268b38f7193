// Bytes of a body or a file -> a stream of record batches, decoded piece by piece under a budget.
// Does not know tables, and does not validate values: the engine's check stage does.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

namespace arrow::io {
class InputStream;
class RandomAccessFile;
}  // namespace arrow::io

namespace fletching::ingest {

// Bounds on what decoding may allocate; exceeded = kTooLarge, never a killed process.
struct DecodeLimits {
  // Memory that a reader and its batches may hold at any time. Batches that the caller keeps count,
  // so this bounds pieces (one Arrow batch, one step through a Parquet row group), not whole
  // bodies, for callers that let go of a batch before they ask for the next.
  int64_t piece_bytes_max = int64_t{256} << 20;
  int64_t batch_rows_max = 64 * 1024;  // longer batches are cut (slices, no copy)
  bool keep_empty_batches = false;     // else batches without rows are passed over
  int32_t column_count_max = 10'000;
  int32_t nesting_max = 8;
};

// One Arrow IPC stream, any number of batches, LZ4 and ZSTD buffers included. Claims of lengths in
// the message are checked against limits before anything is allocated. Buffers that are not
// compressed stay where they are (BufferReader, OpenSpooledBody) and count nothing.
// Errors (also from the reader's ReadNext): kInvalidArgument, kTooLarge.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenIpcStream(
    std::shared_ptr<arrow::io::InputStream> source, const DecodeLimits& limits);

// One Parquet file, every codec of the Arrow build. Decoded batch by batch inside a row group, on
// the caller's thread, so row groups may be larger than the budget; each column holds a page or
// two. columns: only these are read (absent ones are ignored); nullopt = all. Errors: as above; a
// body that `curl -d` has mangled is told to use --data-binary.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenParquet(
    std::shared_ptr<arrow::io::RandomAccessFile> source, const DecodeLimits& limits,
    const std::optional<std::vector<std::string>>& columns = std::nullopt);

// {"columns": {"name": [values...], ...}}: values parsed as the schema's types; names the schema
// lacks are ignored when ignore_extra_columns, else an error. Columns absent from the body are
// absent from the batch. Integers exact (also above 2^53 when written as digits), "NaN"/"Infinity"
// strings are not numbers; null is null; timestamps and dates as ISO 8601 text or integers in the
// column's unit; binary as base64; lists as arrays.
// Errors: kInvalidArgument naming column and row; kTooLarge.
Result<std::shared_ptr<arrow::RecordBatch>> ParseJsonColumns(std::string_view body,
                                                             const TableSchema& schema,
                                                             bool ignore_extra_columns);

}  // namespace fletching::ingest
