// A copy of all tables as a data folder of its own.
#pragma once

#include <string>

#include "fletching/request.h"

#include "engine/catalog.h"
#include "io/file.h"

namespace fletching::engine {

// What Engine::Snapshot promises. data_dir: where the tables of `catalog` are.
Result<SnapshotReport> WriteSnapshot(io::FileSystem* file_system, const std::string& data_dir,
                                     const Catalog& catalog, const SnapshotRequest& request);

}  // namespace fletching::engine
