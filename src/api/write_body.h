// The body of a write -> a stream of batches for Engine::Write. Stage: parse.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "arrow/type_fwd.h"

#include "fletching/request.h"
#include "fletching/schema.h"
#include "fletching/status.h"

#include "api/body.h"

namespace fletching::api {

enum class BodyFormat : uint8_t { kJson, kArrow, kParquet };

// Decoded piece by piece while the engine pulls, so a body of any size needs the memory of one
// piece. JSON is decoded whole; the door limits its size. Columns that the table lacks are left
// out, those of a Parquet file without even being decoded.
// `piece_bytes_max`: memory that decoding may hold at a time (not of JSON).
// Errors, also from the reader: kInvalidArgument, kTooLarge.
Result<std::shared_ptr<arrow::RecordBatchReader>> OpenWriteBody(const Body& body, BodyFormat format,
                                                                const TableSchema& schema,
                                                                int64_t piece_bytes_max);

// A write as doors of the wire begin it: both generations of clients send what columns they have.
WriteRequest WriteTo(std::string table);

// "mode" = "replace" | "patch", "extra_columns" = "ignore" | "error". -> false for any other name.
// Errors: kInvalidArgument for another value.
Result<bool> TakeWriteOption(std::string_view name, std::string_view value, WriteRequest* write);

// The most that a piece may need: a row group or batch of a sensible file.
inline constexpr int64_t kPieceBytesMax = int64_t{256} << 20;

}  // namespace fletching::api
