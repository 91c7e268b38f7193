#include "engine/inspect_path.h"

#include <algorithm>
#include <utility>

#include "engine/data_folder.h"
#include "format/file_names.h"
#include "format/inspect.h"

namespace fletching::engine {
namespace {

std::string BaseName(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

bool IsOurs(const io::FolderEntry& entry) {
  const std::string& name = entry.name;
  if (entry.is_folder) return name == "tables" || name == kUnfinishedTables;
  return format::KindOfFile(name, {}) != format::FileKind::kUnknown;
}

// The text is the pid of the writer; whoever reads it beside him may find it empty.
InspectReport InspectLock(ByteSpan bytes) {
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  std::string_view pid(text, bytes.size());
  while (pid.ends_with('\n')) pid.remove_suffix(1);
  InspectReport report;
  report.lines.push_back(
      {0, "lock", 0, bytes.size(), "text", "pid of the last writer: " + format::Quoted(pid), ""});
  return report;
}

Result<InspectReport> InspectFile(io::FileSystem* file_system, const std::string& path,
                                  const format::InspectOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const auto file, file_system->Map(path));
  const ByteSpan bytes = file->bytes();
  InspectReport report =
      BaseName(path) == "LOCK"
          ? InspectLock(bytes)
          : format::InspectBytes(format::KindOfFile(path, bytes), bytes, options);
  const Status read = file->CheckRead();
  if (!read.ok()) report.lines.front().problem = read.message();
  return report;
}

// One line a file: the first one of its own.
void WalkFolder(io::FileSystem* file_system, const std::string& path, int32_t depth,
                InspectReport* report) {
  const auto entries = file_system->List(path);
  if (!entries.ok()) {
    report->lines.back().problem = entries.status().message();
    return;
  }
  for (const io::FolderEntry& entry : *entries) {
    const std::string below = path + "/" + entry.name;
    if (entry.is_folder) {
      report->lines.push_back({depth, entry.name + "/", 0, 0, "folder", "", ""});
      // The folders of tables, but nobody else's.
      if (depth == 1 ? IsOurs(entry) : depth == 2) {
        WalkFolder(file_system, below, depth + 1, report);
      }
      continue;
    }
    InspectLine line{depth, entry.name, 0, entry.size_bytes, "file", "", ""};
    if (IsOurs(entry) || entry.name == "LOCK") {
      auto inspected = InspectFile(file_system, below, {});
      if (inspected.ok()) {
        InspectLine& first = inspected->lines.front();
        line.value = first.name + (first.value.empty() ? "" : ": " + first.value);
        line.problem = std::move(first.problem);
      } else {  // a writer may have removed it since
        line.problem = inspected.status().message();
      }
    }
    report->lines.push_back(std::move(line));
  }
}

}  // namespace

Result<InspectReport> InspectPath(io::FileSystem* file_system, const std::string& path,
                                  bool show_all) {
  const std::string at = WithoutTrailingSlash(path);
  const auto entries = file_system->List(at);
  if (!entries.ok()) {
    return InspectFile(file_system, at, {.show_all = show_all, .checks_blocks = true});
  }
  if (!std::any_of(entries->begin(), entries->end(), IsOurs)) {
    const bool holds_tables =
        std::any_of(entries->begin(), entries->end(), [](const io::FolderEntry& entry) {
          return entry.is_folder && format::ParseTableFolder(entry.name) != 0;
        });
    return InvalidArgument("folder " + at + " holds no files of Fletching; name a data folder, " +
                           (holds_tables ? "as the one it is in, " : "") +
                           "the folder of a table, or a file");
  }
  InspectReport report;
  report.lines.push_back({0, at + "/", 0, 0, "folder", "", ""});
  WalkFolder(file_system, at, 1, &report);
  return report;
}

}  // namespace fletching::engine
