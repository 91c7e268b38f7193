// Names in a data folder, and making such a folder durably. docs/format.md draws the tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "io/file.h"

namespace fletching::engine {

// Folders below <data_dir>/tables. Only plain numbers are tables; the others are half made or half
// removed and go at the next open.
inline constexpr std::string_view kNewPrefix = ".new-";
inline constexpr std::string_view kDroppedPrefix = ".dropped-";
// Tables of a snapshot that is not finished, in place of <data_dir>/tables.
inline constexpr std::string_view kUnfinishedTables = "tables.unfinished";

std::string TablesFolder(const std::string& data_dir);
std::string LockFile(const std::string& data_dir);
std::string WithoutTrailingSlash(std::string path);

std::string IdName(uint64_t id);          // 12 -> "00000012"
uint64_t ParseId(std::string_view name);  // of a table's folder; else 0

// Makes a folder and every missing parent, and makes all those names durable.
Status MakeDurableFolder(io::FileSystem* file_system, const std::string& path);

}  // namespace fletching::engine
