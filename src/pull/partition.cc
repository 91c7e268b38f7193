#include "pull/partition.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

#include <arrow/filesystem/filesystem.h>

#include "base/bytes.h"
#include "base/checksum.h"

namespace fletching::pull {
namespace {

using arrow::fs::FileInfo;
using arrow::fs::FileType;

constexpr const char* kMarker = "_SUCCESS";
constexpr char kFingerprintMark = '@';

Result<std::vector<FileInfo>> List(const Source& source, const std::string& folder,
                                   bool recursive) {
  arrow::fs::FileSelector selector;
  selector.base_dir = folder;
  selector.recursive = recursive;
  auto listed = source.files->GetFileInfo(selector);
  if (!listed.ok()) return SourceError(source, listed.status());
  return listed;
}

bool IsHidden(const std::string& name) { return name.starts_with('.') || name.starts_with('_'); }

// Any part of the path below the source.
bool IsHiddenBelow(const Source& source, const std::string& path) {
  const std::string rest = path.substr(std::min(path.size(), source.root.size()));
  return rest.find("/.") != std::string::npos || rest.find("/_") != std::string::npos;
}

bool IsParquet(const FileInfo& info) {
  return info.type() == FileType::File && info.base_name().ends_with(".parquet") &&
         !IsHidden(info.base_name());
}

PartitionFile FileOf(const FileInfo& info) {
  return {info.path(), info.size(),
          std::chrono::duration_cast<std::chrono::nanoseconds>(info.mtime().time_since_epoch())
              .count()};
}

// Names, sizes and times of change: what is written anew under the same name is another generation.
std::string Fingerprint(const std::vector<PartitionFile>& files) {
  std::string text;
  for (const PartitionFile& file : files) {
    text += file.path + '\n' + std::to_string(file.size_bytes) + '\n' +
            std::to_string(file.changed_ns) + '\n';
  }
  std::array<char, 17> hex;
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(Checksum(AsBytes(text))));
  return hex.data();
}

Result<Partition> Finish(const Source& source, std::string name, std::vector<PartitionFile> files,
                         const std::string& where) {
  if (files.empty()) {
    return InvalidArgument(source.where + ": " + where + " holds no file that ends in .parquet");
  }
  std::ranges::sort(files, {}, &PartitionFile::path);
  Partition partition;
  partition.generation = name + kFingerprintMark + Fingerprint(files);
  partition.name = std::move(name);
  partition.files = std::move(files);
  return partition;
}

Result<Partition> FindDated(const Source& source) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, List(source, source.root, false));
  std::vector<std::string> dates;
  for (const FileInfo& entry : entries) {
    if (entry.type() == FileType::Directory && IsDate(entry.base_name())) {
      dates.push_back(entry.base_name());
    }
  }
  std::ranges::sort(dates, std::greater<>());
  for (const std::string& date : dates) {
    ARROW_ASSIGN_OR_RAISE(const auto inside, List(source, source.root + "/" + date, false));
    bool is_complete = false;
    std::vector<PartitionFile> files;
    for (const FileInfo& entry : inside) {
      if (entry.type() == FileType::File && entry.base_name() == kMarker) is_complete = true;
      if (IsParquet(entry)) files.push_back(FileOf(entry));
    }
    if (is_complete) return Finish(source, date, std::move(files), date);
  }
  const std::string seen =
      dates.empty() ? "none is there" : "the newest without one is " + dates.front();
  return MakeError(ErrorCode::kNotFound, source.where + ": no folder YYYY-MM-DD with " +
                                             std::string(kMarker) + " in it; " + seen);
}

Result<Partition> FindPlain(const Source& source) {
  ARROW_ASSIGN_OR_RAISE(const auto entries, List(source, source.root, true));
  std::vector<PartitionFile> files;
  for (const FileInfo& entry : entries) {
    if (IsParquet(entry) && !IsHiddenBelow(source, entry.path())) files.push_back(FileOf(entry));
  }
  return Finish(source, "all", std::move(files), "the source");
}

}  // namespace

Result<Partition> FindPartition(const Source& source, Layout layout) {
  return layout == Layout::kDated ? FindDated(source) : FindPlain(source);
}

std::string PartitionNameOf(const std::string& generation) {
  return generation.substr(0, generation.find(kFingerprintMark));
}

bool IsDate(const std::string& name) {
  if (name.size() != 10 || name[4] != '-' || name[7] != '-') return false;
  int number[3] = {};
  for (size_t at = 0, part = 0; at < name.size(); ++at) {
    if (at == 4 || at == 7) {
      ++part;
      continue;
    }
    if (name[at] < '0' || name[at] > '9') return false;
    number[part] = 10 * number[part] + (name[at] - '0');
  }
  const std::chrono::year_month_day day{std::chrono::year(number[0]),
                                        std::chrono::month(static_cast<unsigned>(number[1])),
                                        std::chrono::day(static_cast<unsigned>(number[2]))};
  return day.ok();
}

}  // namespace fletching::pull
