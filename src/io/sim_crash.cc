// What a power loss leaves of a SimTree. Declared in io/sim_tree.h.
#include <algorithm>
#include <set>
#include <utility>

#include "io/sim_tree.h"

namespace fletching::io {
namespace {

using Random = std::mt19937_64;

// How the bytes that were never synced fare. Each file draws one.
enum class TailFate : uint8_t { kGone, kKept, kCut, kTornZeros, kTornGarbage };

TailFate DrawFate(Random& random) {
  constexpr TailFate kFates[] = {TailFate::kGone,       TailFate::kKept,      TailFate::kCut,
                                 TailFate::kTornZeros,  TailFate::kTornZeros, TailFate::kTornZeros,
                                 TailFate::kTornGarbage};
  return kFates[random() % std::size(kFates)];
}

// Each sector of the tail reached the disk or did not, in whatever order; the bytes of one that did
// not read as zeros, or as what the sector held for an earlier owner. Bytes that were synced stay,
// also where they share a sector with the tail.
void TearTail(uint64_t synced_bytes, bool garbage, Random& random, SimBytes* bytes) {
  const uint64_t sector_bytes = random() % 2 == 0 ? 512 : 4096;
  const uint64_t kept_eighths = std::vector<uint64_t>{0, 1, 4, 7}[random() % 4];
  const uint64_t first = synced_bytes / sector_bytes * sector_bytes;
  for (uint64_t sector = first; sector < bytes->size(); sector += sector_bytes) {
    if (random() % 8 < kept_eighths) continue;
    const uint64_t start = std::max(sector, synced_bytes);
    const uint64_t end = std::min<uint64_t>(sector + sector_bytes, bytes->size());
    for (uint64_t i = start; i < end; ++i) {
      (*bytes)[i] = garbage ? static_cast<uint8_t>(random()) : uint8_t{0};
    }
  }
}

// A length between what was synced and what was written, often at the edge of a sector.
uint64_t CutLength(uint64_t synced_bytes, uint64_t written_bytes, Random& random) {
  uint64_t cut = synced_bytes + random() % (written_bytes - synced_bytes + 1);
  if (random() % 2 == 0) cut = std::max(synced_bytes, cut / 512 * 512);
  return cut;
}

std::shared_ptr<SimFile> CrashFile(const SimFile& file, Random& random) {
  auto after = std::make_shared<SimFile>();
  if (file.synced_bytes == file.bytes->size()) {
    after->bytes = file.bytes;
    after->lent = file.lent = true;
  } else {
    after->bytes = std::make_shared<SimBytes>(*file.bytes);
    SimBytes* const bytes = after->bytes.get();
    switch (const TailFate fate = DrawFate(random); fate) {
      case TailFate::kGone:
        bytes->resize(file.synced_bytes);
        break;
      case TailFate::kKept:
        break;
      case TailFate::kCut:
        bytes->resize(CutLength(file.synced_bytes, bytes->size(), random));
        break;
      case TailFate::kTornZeros:
      case TailFate::kTornGarbage:
        TearTail(file.synced_bytes, fate == TailFate::kTornGarbage, random, bytes);
        if (random() % 4 == 0) bytes->resize(CutLength(file.synced_bytes, bytes->size(), random));
        break;
    }
  }
  after->synced_bytes = after->bytes->size();
  return after;
}

}  // namespace

// Draws which moment of its history every unsynced name is left at, then copies what that makes
// reachable.
class SimTree::Survivors {
 public:
  explicit Survivors(uint64_t seed) : random_(seed) {}

  void Draw(const std::shared_ptr<SimFolder>& root, const std::vector<RenameRecord>& renames) {
    mood_ = random_() % 6;
    DrawBelow(root.get());
    while (KeepRenamesWhole(renames)) {
    }
  }

  std::shared_ptr<SimFolder> Copy(const SimFolder& folder) {
    auto after = std::make_shared<SimFolder>();
    for (const auto& [name, node] : folder.names) {
      if (folder.histories.count(name) == 0) CopyName(name, node, after.get());
    }
    for (const auto& [name, history] : folder.histories) {
      CopyName(name, history[chosen_[{&folder, name}]], after.get());
    }
    return after;
  }

 private:
  using Place = std::pair<const SimFolder*, std::string>;

  // Folders that were removed or renamed away may come back, so every history is walked.
  void DrawBelow(const SimFolder* folder) {
    if (!seen_.insert(folder).second) return;
    for (const auto& [name, history] : folder->histories) {
      chosen_[{folder, name}] = DrawIndex(history.size());
      for (const SimNode& node : history) {
        if (node.folder != nullptr) DrawBelow(node.folder.get());
      }
    }
    for (const auto& [name, node] : folder->names) {
      if (node.folder != nullptr) DrawBelow(node.folder.get());
    }
  }

  // Two crashes in six take all names or none; the others each name by itself.
  size_t DrawIndex(size_t count) {
    if (mood_ == 0) return 0;
    if (mood_ == 1) return count - 1;
    return random_() % count;
  }

  bool RaiseTo(const Moment& moment) {
    size_t& index = chosen_[{moment.folder.get(), moment.name}];
    if (index >= moment.index) return false;
    index = moment.index;
    return true;
  }

  // True when something had to be changed, which may break another rename.
  bool KeepRenamesWhole(const std::vector<RenameRecord>& renames) {
    bool changed = false;
    for (const RenameRecord& rename : renames) {
      const auto reached = [&](const Moment& moment) {
        return chosen_[{moment.folder.get(), moment.name}] >= moment.index;
      };
      const bool source_gone = rename.source_synced || reached(rename.source);
      if (source_gone) changed |= RaiseTo(rename.target);
      if (rename.is_folder && !source_gone && reached(rename.target)) {
        changed |= RaiseTo(rename.source);
      }
    }
    return changed;
  }

  void CopyName(const std::string& name, const SimNode& node, SimFolder* target) {
    if (node.folder != nullptr) {
      target->names[name].folder = Copy(*node.folder);
    } else if (node.file != nullptr) {
      std::shared_ptr<SimFile>& copy = files_[node.file.get()];  // one file may have two names
      if (copy == nullptr) copy = CrashFile(*node.file, random_);
      target->names[name].file = copy;
    }
  }

  Random random_;
  uint64_t mood_ = 0;
  std::set<const SimFolder*> seen_;
  std::map<Place, size_t> chosen_;
  std::map<const SimFile*, std::shared_ptr<SimFile>> files_;
};

SimTree SimTree::Crash(uint64_t seed) const {
  Survivors survivors(seed);
  survivors.Draw(root_, renames_);
  SimTree after;
  after.root_ = survivors.Copy(*root_);
  return after;
}

}  // namespace fletching::io
