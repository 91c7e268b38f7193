#include "remote/remote_files.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "base/bytes.h"
#include "format/file_names.h"
#include "format/segment_layout.h"
#include "io/file.h"

namespace fletching::remote {
namespace {

io::FileSystem* Disk() { return io::PosixFileSystem(); }

}  // namespace

std::string SegmentKey(uint64_t table_id, uint64_t footer_checksum, uint64_t file_bytes) {
  std::array<char, 17> hex;
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(footer_checksum));
  return "tables/" + format::TableFolderName(table_id) + "/" + hex.data() + "-" +
         std::to_string(file_bytes) + ".flseg";
}

Result<std::string> SegmentKeyOf(uint64_t table_id, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const auto file, Disk()->Map(path));
  const ByteSpan bytes = file->bytes();
  if (bytes.size() < sizeof(format::SegmentFooter)) {
    return Corruption(path, 0, "shorter than a footer");
  }
  const auto footer =
      LoadAs<format::SegmentFooter>(bytes.data() + bytes.size() - sizeof(format::SegmentFooter));
  ARROW_RETURN_NOT_OK(file->CheckRead());
  if (footer.magic != format::kSegmentMagic) {
    return Corruption(path, bytes.size() - sizeof(uint64_t), "no segment (wrong magic)");
  }
  return SegmentKey(table_id, footer.checksum, bytes.size());
}

// tables/00000007/8c0f2a6e1b7d9405-1048576.flseg -> 8c0f2a6e1b7d9405-1048576 stands between number
// and ending; the table's number is its folder's.
PartialSegment PartialOf(const std::string& path, const std::string& key, uint64_t size_bytes) {
  const std::string stem = path.substr(0, path.size() - format::kSegmentEnding.size());
  const size_t slash = key.rfind('/');
  const std::string name =
      key.substr(slash + 1, key.size() - slash - 1 - format::kSegmentEnding.size());
  const uint64_t number =
      format::ParseFileNumber(path.substr(path.rfind('/') + 1), format::kSegmentEnding);
  return {stem + "." + name + std::string(kPartialEnding), number, key, size_bytes};
}

std::optional<PartialSegment> ParsePartial(uint64_t table_id, const std::string& folder,
                                           const std::string& name) {
  const size_t dot = name.find('.');
  const size_t dash = name.find('-');
  if (!name.ends_with(kPartialEnding) || dash == std::string::npos || dot > dash) {
    return std::nullopt;
  }
  const std::string object = name.substr(dot + 1, name.size() - kPartialEnding.size() - dot - 1);
  return PartialSegment{folder + "/" + name, format::ParseFileNumber(name.substr(0, dot + 1), "."),
                        "tables/" + format::TableFolderName(table_id) + "/" + object +
                            std::string(format::kSegmentEnding),
                        std::strtoull(name.c_str() + dash + 1, nullptr, 10)};
}

Result<PartialSegment> FindPartial(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = path.substr(0, slash);
  const std::string stem =
      path.substr(slash + 1, path.size() - slash - format::kSegmentEnding.size());
  const uint64_t table_id = format::ParseTableFolder(folder.substr(folder.rfind('/') + 1));
  ARROW_ASSIGN_OR_RAISE(const auto entries, Disk()->List(folder));
  for (const io::FolderEntry& entry : entries) {
    if (!entry.name.starts_with(stem)) continue;  // the number and its dot
    auto partial = ParsePartial(table_id, folder, entry.name);
    if (partial.has_value()) return *std::move(partial);
  }
  return NotFound("segment", path);
}

std::string TableFolder(const std::string& data_dir, uint64_t table_id) {
  return format::TablesFolder(data_dir) + "/" + format::TableFolderName(table_id);
}

std::string SegmentPath(const std::string& folder, uint64_t number) {
  return folder + "/" + format::SegmentFileName(number);
}

std::string ManifestPath(const std::string& folder, uint64_t number) {
  return folder + "/" + format::ManifestFileName(number);
}

Result<std::vector<uint64_t>> TableIds(const std::string& data_dir) {
  std::vector<uint64_t> ids;
  if (!Disk()->Exists(format::TablesFolder(data_dir))) return ids;
  ARROW_ASSIGN_OR_RAISE(const auto entries, Disk()->List(format::TablesFolder(data_dir)));
  for (const io::FolderEntry& entry : entries) {
    const uint64_t id = entry.is_folder ? format::ParseTableFolder(entry.name) : 0;
    if (id != 0) ids.push_back(id);
  }
  std::ranges::sort(ids);
  return ids;
}

Result<format::Manifest> NewestManifest(const std::string& folder) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, Disk()->List(folder));
  uint64_t newest = 0;
  for (const io::FolderEntry& entry : entries) {
    newest = std::max(newest, format::ParseFileNumber(entry.name, format::kManifestEnding));
  }
  if (newest == 0) return Corruption(folder, 0, "the folder of a table has no manifest");
  const std::string path = ManifestPath(folder, newest);
  ARROW_ASSIGN_OR_RAISE(const auto file, Disk()->Map(path));
  auto manifest = format::DecodeManifest(file->bytes(), path);
  ARROW_RETURN_NOT_OK(file->CheckRead());
  return manifest;
}

Status WriteFileDurably(const std::string& path, const std::string& bytes) {
  const std::string aside = path + ".tmp";
  if (Disk()->Exists(aside)) ARROW_RETURN_NOT_OK(Disk()->Remove(aside));
  ARROW_ASSIGN_OR_RAISE(const auto file, Disk()->Create(aside));
  ARROW_RETURN_NOT_OK(file->Append(AsBytes(bytes)));
  ARROW_RETURN_NOT_OK(file->Sync());
  ARROW_RETURN_NOT_OK(file->Close());
  ARROW_RETURN_NOT_OK(Disk()->Rename(aside, path));
  return Disk()->SyncFolder(path.substr(0, path.find_last_of('/')));
}

Result<RemoteIdentity> ReadIdentity(const std::string& data_dir) {
  const std::string path = data_dir + "/REMOTE";
  if (!Disk()->Exists(path)) return RemoteIdentity{};
  ARROW_ASSIGN_OR_RAISE(const auto file, Disk()->Map(path));
  const ByteSpan bytes = file->bytes();
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ARROW_RETURN_NOT_OK(file->CheckRead());
  RemoteIdentity identity;
  std::string sequence;
  std::istringstream lines(text);
  if (!std::getline(lines, identity.url) || !std::getline(lines, identity.writer_id) ||
      !std::getline(lines, sequence)) {
    return Corruption(path, 0, "three lines are expected");
  }
  identity.sequence = std::strtoull(sequence.c_str(), nullptr, 10);
  return identity;
}

Status WriteIdentity(const std::string& data_dir, const RemoteIdentity& identity) {
  ARROW_RETURN_NOT_OK(Disk()->MakeFolder(data_dir));
  return WriteFileDurably(data_dir + "/REMOTE", identity.url + "\n" + identity.writer_id + "\n" +
                                                    std::to_string(identity.sequence) + "\n");
}

}  // namespace fletching::remote
