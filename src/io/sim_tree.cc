#include "io/sim_tree.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "io/posix_error.h"

namespace fletching::io {
namespace {

// "/a//b/" and "a/b" are the same two names.
std::vector<std::string> SplitPath(std::string_view path) {
  std::vector<std::string> names;
  size_t start = 0;
  while (start <= path.size()) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view name = path.substr(start, end - start);
    if (!name.empty() && name != ".") names.emplace_back(name);
    start = end + 1;
  }
  return names;
}

Status Refuse(std::string_view action, std::string_view path, int error) {
  return ErrnoError(action, std::string(path), error);
}

void RemoveNamesBelow(SimFolder* folder, const auto& record) {
  while (!folder->names.empty()) {
    const auto [name, node] = *folder->names.begin();
    if (node.folder != nullptr) RemoveNamesBelow(node.folder.get(), record);
    record(folder, name);
  }
}

// A file with two names counts once.
uint64_t BytesBelow(const SimFolder& folder, std::set<const SimFile*>* counted) {
  uint64_t total_bytes = 0;
  for (const auto& [name, node] : folder.names) {
    if (node.folder != nullptr) {
      total_bytes += BytesBelow(*node.folder, counted);
    } else if (counted->insert(node.file.get()).second) {
      total_bytes += node.file->bytes->size();
    }
  }
  return total_bytes;
}

void DescribeBelow(const SimFolder& folder, const std::string& prefix,
                   std::vector<std::string>* lines) {
  for (const auto& [name, node] : folder.names) {
    std::string line = prefix + name;
    if (node.file != nullptr) {
      line += " " + std::to_string(node.file->bytes->size()) + " bytes, " +
              std::to_string(node.file->synced_bytes) + " synced";
    }
    if (folder.histories.count(name) > 0) line += ", name not synced";
    lines->push_back(std::move(line));
    if (node.folder != nullptr) DescribeBelow(*node.folder, prefix + name + "/", lines);
  }
  for (const auto& [name, history] : folder.histories) {
    if (folder.names.count(name) == 0) lines->push_back(prefix + name + " removed, not synced");
  }
}

}  // namespace

SimTree::SimTree() : root_(std::make_shared<SimFolder>()) {}

Result<SimTree::Moment> SimTree::Locate(std::string_view path) const {
  std::vector<std::string> names = SplitPath(path);
  if (names.empty()) return Refuse("use", path, EINVAL);
  std::shared_ptr<SimFolder> folder = root_;
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    const auto found = folder->names.find(names[i]);
    if (found == folder->names.end()) return Refuse("find", path, ENOENT);
    if (found->second.folder == nullptr) return Refuse("find", path, ENOTDIR);
    folder = found->second.folder;
  }
  return Moment{.folder = std::move(folder), .name = std::move(names.back()), .index = 0};
}

SimNode SimTree::Find(std::string_view path) const {
  if (SplitPath(path).empty()) return {.file = nullptr, .folder = root_};
  const Result<Moment> place = Locate(path);
  if (!place.ok()) return {};
  const auto found = place->folder->names.find(place->name);
  return found == place->folder->names.end() ? SimNode{} : found->second;
}

size_t SimTree::Record(SimFolder* folder, const std::string& name, SimNode node) {
  std::vector<SimNode>& history = folder->histories[name];
  const auto found = folder->names.find(name);
  if (history.empty()) {
    history.push_back(found == folder->names.end() ? SimNode{} : found->second);
  }
  history.push_back(node);
  if (node.exists()) {
    folder->names[name] = std::move(node);
  } else if (found != folder->names.end()) {
    folder->names.erase(found);
  }
  return history.size() - 1;
}

Status SimTree::Set(std::string_view path, SimNode node) {
  ARROW_ASSIGN_OR_RAISE(const Moment place, Locate(path));
  Record(place.folder.get(), place.name, std::move(node));
  return Status::OK();
}

Status SimTree::Rename(std::string_view source, std::string_view target) {
  const SimNode moved = Find(source);
  if (!moved.exists()) return Refuse("rename", source, ENOENT);
  const SimNode replaced = Find(target);
  if (moved.file != nullptr && moved.file == replaced.file) return Status::OK();
  if (replaced.folder != nullptr) return Refuse("rename to", target, EISDIR);
  if (moved.folder != nullptr && replaced.exists()) return Refuse("rename to", target, ENOTDIR);
  ARROW_ASSIGN_OR_RAISE(Moment from, Locate(source));
  ARROW_ASSIGN_OR_RAISE(Moment to, Locate(target));
  const std::vector<std::string> from_names = SplitPath(source);
  const std::vector<std::string> to_names = SplitPath(target);
  if (to_names.size() > from_names.size() &&
      std::equal(from_names.begin(), from_names.end(), to_names.begin())) {
    return Refuse("rename into itself", source, EINVAL);
  }
  to.index = Record(to.folder.get(), to.name, moved);
  from.index = Record(from.folder.get(), from.name, {});
  renames_.push_back({.source = std::move(from),
                      .target = std::move(to),
                      .is_folder = moved.folder != nullptr,
                      .source_synced = false});
  return Status::OK();
}

Status SimTree::RemoveFolder(std::string_view path) {
  const SimNode node = Find(path);
  if (!node.exists()) return Refuse("remove folder", path, ENOENT);
  if (node.folder == nullptr) return Refuse("remove folder", path, ENOTDIR);
  ARROW_ASSIGN_OR_RAISE(const Moment place, Locate(path));
  RemoveNamesBelow(node.folder.get(), [](SimFolder* folder, const std::string& name) {
    Record(folder, name, SimNode{});
  });
  Record(place.folder.get(), place.name, {});
  return Status::OK();
}

Status SimTree::MakeFolder(std::string_view path) {
  SimFolder* folder = root_.get();
  for (const std::string& name : SplitPath(path)) {
    if (folder->names.count(name) == 0) {
      Record(folder, name, {.file = nullptr, .folder = std::make_shared<SimFolder>()});
    }
    folder = folder->names[name].folder.get();
    if (folder == nullptr) return Refuse("make folder", path, EEXIST);
  }
  return Status::OK();
}

Status SimTree::SyncFolder(std::string_view path) {
  const SimNode node = Find(path);
  if (!node.exists()) return Refuse("sync folder", path, ENOENT);
  if (node.folder == nullptr) return Refuse("sync folder", path, ENOTDIR);
  node.folder->histories.clear();
  std::erase_if(renames_,
                [&](const RenameRecord& rename) { return rename.target.folder == node.folder; });
  for (RenameRecord& rename : renames_) {
    if (rename.source.folder == node.folder) rename.source_synced = true;
  }
  return Status::OK();
}

uint64_t SimTree::TotalBytes() const {
  std::set<const SimFile*> counted;
  return BytesBelow(*root_, &counted);
}

std::vector<std::string> SimTree::Describe() const {
  std::vector<std::string> lines;
  DescribeBelow(*root_, "/", &lines);
  return lines;
}

}  // namespace fletching::io
