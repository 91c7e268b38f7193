// What publisher, follower and promotion share: names of objects, files of a data folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

#include "format/manifest.h"

namespace fletching::remote {

// tables/00000007/8c0f2a6e1b7d9405-1048576.flseg: a segment is named by what is in it.
std::string SegmentKey(uint64_t table_id, uint64_t footer_checksum, uint64_t file_bytes);
// Reads the file's footer. Errors: kCorruption, kUnavailable.
Result<std::string> SegmentKeyOf(uint64_t table_id, const std::string& path);

// A segment that is only partly here; remote/cached_file.h says how such files are named.
struct PartialSegment {
  std::string path;
  uint64_t number = 0;
  std::string key;  // of the object
  uint64_t size_bytes = 0;
};
inline constexpr std::string_view kPartialEnding = ".flcache";
// `path`: of the whole segment. `key`: of its object.
PartialSegment PartialOf(const std::string& path, const std::string& key, uint64_t size_bytes);
// nullopt: the file is something else.
std::optional<PartialSegment> ParsePartial(uint64_t table_id, const std::string& folder,
                                           const std::string& name);
// Errors: kNotFound when there is none for this segment.
Result<PartialSegment> FindPartial(const std::string& path);

std::string TableFolder(const std::string& data_dir, uint64_t table_id);
std::string SegmentPath(const std::string& folder, uint64_t number);
std::string ManifestPath(const std::string& folder, uint64_t number);

// The table folders of a data folder, by id.
Result<std::vector<uint64_t>> TableIds(const std::string& data_dir);
// Of a table's folder. Errors: kCorruption.
Result<format::Manifest> NewestManifest(const std::string& folder);

// A small file in the place of an older one, durably.
Status WriteFileDurably(const std::string& path, const std::string& bytes);

// The file REMOTE of a data folder: as which node it wrote to which remote, and how far it came.
struct RemoteIdentity {
  std::string url;
  std::string writer_id;  // empty: a replica's
  uint64_t sequence = 0;  // of the last root it knows to have put; it may have put one more
};
// All empty when there is none.
Result<RemoteIdentity> ReadIdentity(const std::string& data_dir);
Status WriteIdentity(const std::string& data_dir, const RemoteIdentity& identity);

}  // namespace fletching::remote
