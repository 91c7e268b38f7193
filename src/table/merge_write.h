// Writes the rows of several sources that did not lose into one new segment: flush and compaction.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "io/file.h"
#include "table/segment_plan.h"
#include "table/version.h"

namespace fletching::table {

// run: newest first, neighbours. Returns how many rows were written; with 0 the file is not
// finished and, as after an error, the caller removes it.
Result<uint64_t> WriteMerged(const TableState& state, std::span<const Source> run,
                             bool keep_tombstones, int64_t now_us, io::FileSystem* file_system,
                             const std::string& path, const SealOptions& options);

}  // namespace fletching::table
