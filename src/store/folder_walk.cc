#include "store/folder_walk.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <sys/stat.h>
#include <utility>
#include <vector>

#include "io/file.h"

namespace fletching::store {
namespace {

// "a/b" of a sorted listing comes after "a-b": a folder sorts as its name with the '/'.
std::string SortName(const io::FolderEntry& entry) {
  return entry.is_folder ? entry.name + "/" : entry.name;
}

// One page of a walk through the folders in the order of keys.
struct Walk {
  std::string root;
  std::string prefix;
  std::string start_after;
  bool shallow = false;
  size_t entries_max = 0;
  ObjectPage page = {};
  std::string last = {};  // key or folder that was taken last
  bool is_full = false;

  bool TakeFolder(const std::string& name) {
    // Everything below begins with `name`: nothing of it may be wanted.
    const size_t common = std::min(name.size(), prefix.size());
    if (name.compare(0, common, prefix, 0, common) != 0) return true;
    const size_t seen = std::min(name.size(), start_after.size());
    if (name.compare(0, seen, start_after, 0, seen) < 0) return true;
    if (shallow && name.size() > prefix.size()) {
      if (name <= start_after || start_after.starts_with(name)) return true;
      return Take(name, [&] { page.folders.push_back(name); });
    }
    return false;
  }

  template <typename Add>
  bool Take(const std::string& name, Add add) {
    if (page.objects.size() + page.folders.size() == entries_max) {
      is_full = true;
      page.next_page = last;
      return true;
    }
    add();
    last = name;
    return true;
  }

  Status Visit(const std::string& below) {
    Result<std::vector<io::FolderEntry>> entries =
        io::PosixFileSystem()->List(below.empty() ? root : root + "/" + below);
    if (!entries.ok()) {
      // Removed meanwhile, or the store has nothing yet.
      return CodeOf(entries.status()) == ErrorCode::kNotFound ? Status::OK() : entries.status();
    }
    std::sort(entries->begin(), entries->end(),
              [](const auto& a, const auto& b) { return SortName(a) < SortName(b); });
    for (const io::FolderEntry& entry : *entries) {
      if (is_full) return Status::OK();
      if (entry.name.starts_with(kOwnNames)) continue;
      const std::string name = below + SortName(entry);
      if (entry.is_folder) {
        if (!TakeFolder(name)) ARROW_RETURN_NOT_OK(Visit(name));
        continue;
      }
      if (!name.starts_with(prefix) || name <= start_after) continue;
      struct stat facts;
      if (::stat((root + "/" + name).c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
      Take(name, [&] { page.objects.push_back(InfoOfFile(name, facts)); });
    }
    return Status::OK();
  }
};

}  // namespace

ObjectInfo InfoOfFile(const std::string& key, const struct stat& facts) {
  std::array<char, 80> etag{};
  const int64_t changed_ns = int64_t{facts.st_mtim.tv_sec} * 1'000'000'000 + facts.st_mtim.tv_nsec;
  std::snprintf(
      etag.data(), etag.size(), "\"%llx-%llx-%llx\"", static_cast<unsigned long long>(facts.st_ino),
      static_cast<unsigned long long>(facts.st_size), static_cast<unsigned long long>(changed_ns));
  return {.key = key,
          .size_bytes = static_cast<uint64_t>(facts.st_size),
          .etag = etag.data(),
          .modified_us = changed_ns / 1000};
}

Result<ObjectPage> ListFolder(const std::string& folder, const std::string& prefix,
                              const ListOptions& options) {
  Walk walk{.root = folder,
            .prefix = prefix,
            .start_after = std::max(options.start_after, options.page),
            .shallow = options.shallow,
            .entries_max = static_cast<size_t>(std::max(options.entries_max, 1))};
  ARROW_RETURN_NOT_OK(walk.Visit(""));
  return std::move(walk.page);
}

}  // namespace fletching::store
