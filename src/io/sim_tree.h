// The folders and files of a SimFileSystem, with what a power loss would leave of them.
//
// A file knows how many of its bytes were synced. A folder knows, for each name changed since it
// was last synced, every node that name stood for on the way: after a crash it may stand for any of
// them. Names are independent of each other and of the bytes, as on a disk without a journal, but
// for two rules: a rename never loses the file it moves, and a folder never has two names.
//
// Does no locking: SimFileSystem does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

namespace fletching::io {

// Starts at a page boundary, as a mapping of the real disk does.
template <typename T>
struct PageAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{4096};
  PageAllocator() = default;
  template <typename U>
  PageAllocator(const PageAllocator<U>&) {}
  T* allocate(size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), kAlignment));
  }
  void deallocate(T* start, size_t) { ::operator delete(start, kAlignment); }
  template <typename U>
  bool operator==(const PageAllocator<U>&) const {
    return true;
  }
};
using SimBytes = std::vector<uint8_t, PageAllocator<uint8_t>>;

struct SimFile {
  std::shared_ptr<SimBytes> bytes = std::make_shared<SimBytes>();
  uint64_t synced_bytes = 0;
  // Whether a mapping, or a tree after a crash, looks at the same bytes: then Append copies first.
  // Not the count of owners, which another thread may lower without any order to its reads.
  mutable bool lent = false;
};

struct SimFolder;

// What a name stands for: a file, a folder, or nothing.
struct SimNode {
  std::shared_ptr<SimFile> file;
  std::shared_ptr<SimFolder> folder;
  bool exists() const { return file != nullptr || folder != nullptr; }
};

struct SimFolder {
  std::map<std::string, SimNode> names;  // as a running program sees them
  // Names changed since the last sync: first what is durable, last what is in `names`.
  std::map<std::string, std::vector<SimNode>> histories;
};

class SimTree {
 public:
  SimTree();

  // The node at `path`, which may be absent.
  SimNode Find(std::string_view path) const;
  // Puts `node` at `path`; an absent node removes the name. Errors: kNotFound without its folder.
  Status Set(std::string_view path, SimNode node);
  Status Rename(std::string_view source, std::string_view target);
  Status RemoveFolder(std::string_view path);
  Status MakeFolder(std::string_view path);
  Status SyncFolder(std::string_view path);
  uint64_t TotalBytes() const;
  // One line a file or unsynced name, for people who debug a seed.
  std::vector<std::string> Describe() const;

  // What a power loss now would leave. The same seed on the same tree gives the same answer.
  SimTree Crash(uint64_t seed) const;

 private:
  // One name in one folder, at one point of its history.
  struct Moment {
    std::shared_ptr<SimFolder> folder;
    std::string name;
    size_t index = 0;
  };
  struct RenameRecord {
    Moment source;  // where the source name stops to stand for the node
    Moment target;  // where the target name begins to
    bool is_folder = false;
    bool source_synced = false;
  };
  class Survivors;

  // The folder that holds the last name of `path`, and that name.
  Result<Moment> Locate(std::string_view path) const;
  static size_t Record(SimFolder* folder, const std::string& name, SimNode node);

  std::shared_ptr<SimFolder> root_;
  std::vector<RenameRecord> renames_;  // those that are not wholly durable, in order
};

}  // namespace fletching::io
