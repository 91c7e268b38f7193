// Names in a data folder, and making such a folder durably. docs/format.md draws the tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "io/file.h"

namespace fletching::engine {

// Tables of a snapshot that is not finished, in place of <data_dir>/tables.
inline constexpr std::string_view kUnfinishedTables = "tables.unfinished";

std::string WithoutTrailingSlash(std::string path);

// Makes a folder and every missing parent, and makes all those names durable.
Status MakeDurableFolder(io::FileSystem* file_system, const std::string& path);

}  // namespace fletching::engine
