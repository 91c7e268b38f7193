// Names of what lies in a data folder; docs/format.md draws the tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fletching::format {

// Folders below <data_dir>/tables are named by a table's id; those with a prefix are half made or
// half removed, and go at the next open.
inline constexpr std::string_view kNewPrefix = ".new-";
inline constexpr std::string_view kDroppedPrefix = ".dropped-";
std::string TableFolderName(uint64_t id);          // 12 -> "00000012"
uint64_t ParseTableFolder(std::string_view name);  // 0: something else

std::string TablesFolder(const std::string& data_dir);
std::string LockFile(const std::string& data_dir);

// Files of a table: "00000000000000000007.flseg".
inline constexpr std::string_view kSegmentEnding = ".flseg";
inline constexpr std::string_view kManifestEnding = ".flman";
inline constexpr std::string_view kLogEnding = ".fllog";
std::string SegmentFileName(uint64_t number);
std::string ManifestFileName(uint64_t number);
std::string LogFileName(uint64_t number);
// The number of a file with this ending; 0: something else.
uint64_t ParseFileNumber(std::string_view name, std::string_view ending);

}  // namespace fletching::format
