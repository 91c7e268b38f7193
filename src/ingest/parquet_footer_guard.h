// Looks at the footer of a Parquet file before Thrift unpacks it.
//
// A list in the footer says how many entries follow, and Thrift makes room for all of them first:
// 60 bytes can ask for a million column chunks of 700 bytes, outside of any memory pool. And each
// entry may truly be there in three bytes.
#pragma once

#include <cstdint>

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::ingest {

// Adds up what the footer (Thrift's compact protocol) takes when unpacked. Knows no field names.
// Errors: kTooLarge above `unpacked_bytes_max`, kInvalidArgument when it does not parse.
Status CheckParquetFooter(ByteSpan footer, int64_t unpacked_bytes_max);

}  // namespace fletching::ingest
