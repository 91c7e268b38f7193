// Which files make up a table now. Stage: discover.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "pull/pulled_table.h"
#include "pull/source.h"

namespace fletching::pull {

struct PartitionFile {
  std::string path;
  int64_t size_bytes = 0;
  int64_t changed_ns = 0;
};

struct Partition {
  std::string name;                  // "2026-11-21"; "all" in a plain layout
  std::vector<PartitionFile> files;  // by name: a later one wins
  std::string generation;            // name and fingerprint of all files: "2026-11-21@8c0f2a..."
};

// The newest partition that is complete. Files that begin with '.' or '_' do not count, and neither
// do folders that are no date. Errors: kNotFound when there is none, saying what there is;
// kInvalidArgument for one without a Parquet file; kUnavailable.
Result<Partition> FindPartition(const Source& source, Layout layout);

// The part of a generation's name before its fingerprint.
std::string PartitionNameOf(const std::string& generation);

// YYYY-MM-DD of a day that exists.
bool IsDate(const std::string& name);

}  // namespace fletching::pull
