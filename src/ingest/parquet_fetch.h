// The parts of a distant Parquet file that are wanted, fetched into a file here before they are
// decoded: a few long reads at once instead of thousands of short ones in turn.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

#include "ingest/sources.h"

namespace fletching::ingest {

// Fetches both ends and the columns of this name (all of them without a list) into a file at
// `path`, at their own offsets with holes between them, for OpenParquet with the same columns. The
// file is removed at once and lives as long as what is returned.
// Errors: those of `source`, whose reads may come from several threads; kUnavailable,
// kStorageFull for the file here; kInvalidArgument, kTooLarge for a footer that makes no sense.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> FetchParquet(
    const std::shared_ptr<arrow::io::RandomAccessFile>& source, const DecodeLimits& limits,
    const std::optional<std::vector<std::string>>& columns, const std::string& path);

}  // namespace fletching::ingest
