// A store at work on a disk that fails, and what of its work must be found afterwards. For tests
// only.
//
// Every write of operation n puts the number n into all rows it touches, so what is read back tells
// which operations took place, and whether one took place by halves. An operation that was
// acknowledged must be there; one that was cut off or answered with an error may be there, whole.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/engine.h"

#include "engine/test_model.h"
#include "io/file.h"

namespace fletching::engine {

struct CrashOp {
  enum class Kind : uint8_t {
    kCreate,
    kDrop,
    kWrite,
    kPatch,  // of the text alone
    kDelete,
    kAddColumn,
    kWiden,
    kReplace,  // of table "g", which takes only this and the next
    kRollBack,
    kFlush,
    kCompact,
    kReopen,
  };
  Kind kind = Kind::kWrite;
  std::string table = {};
  int first_key = 0;
  int key_count = 0;
  int number = 0;  // goes into the rows; ascending
  std::string Text() const;
};

// Whether it leaves a trace that an error may leave behind too.
bool ChangesData(CrashOp::Kind kind);

enum class Outcome : uint8_t { kDone, kMaybe };

struct CrashRow {
  int version = 0;
  int text_version = 0;
  int columns_added = 0;  // when it was written
  bool operator==(const CrashRow&) const = default;
};
struct CrashTable {
  int columns_added = 0;
  bool is_wide = false;
  std::map<int, CrashRow> rows;
  int generation = 0;                    // number of the kReplace that made it
  std::shared_ptr<CrashTable> previous;  // what a kRollBack brings; not seen from outside
  bool operator==(const CrashTable& other) const {
    return columns_added == other.columns_added && is_wide == other.is_wide && rows == other.rows &&
           generation == other.generation;
  }
};
using CrashState = std::map<std::string, CrashTable>;

// What `ops` make of nothing, those that are not `applied` left out.
CrashState Simulate(const std::vector<std::pair<CrashOp, Outcome>>& ops,
                    const std::vector<bool>& applied);

// What an engine shows, by scan and by look-up of every key. Errors: a damaged table, a row by
// halves, an answer that contradicts another.
Result<CrashState> Observe(Engine& engine);

// "" when `state` follows from all done operations and some of the others, else what is wrong.
std::string Complaint(const std::vector<std::pair<CrashOp, Outcome>>& ops, const CrashState& state);

std::string StateText(const CrashState& state);

// Random operations that make sense one after the other.
std::vector<CrashOp> RandomOps(uint64_t seed, int count);

// What background threads say about injected faults is expected, and long. Swallows stderr while
// it lives.
class QuietErrors {
 public:
  QuietErrors();
  ~QuietErrors();
};

class CrashStore {
 public:
  // background: with compaction by the engine's own thread.
  CrashStore(io::FileSystem* disk, bool background) : disk_(disk), background_(background) {}

  Status Open();
  void Close() { engine_.reset(); }
  // Performs it and notes the outcome. kReopen of a failing disk leaves the store closed.
  Status Perform(const CrashOp& op);
  Engine* engine() { return engine_.get(); }
  // Operations so far and what became of them; one under way counts as kMaybe.
  std::vector<std::pair<CrashOp, Outcome>> History() const;
  // Keeps operations from starting and ending: for a look at disk and history at one moment.
  std::unique_lock<std::mutex> Freeze() const { return std::unique_lock(mutex_); }
  std::vector<std::pair<CrashOp, Outcome>> HistoryWhileFrozen() const { return history_; }

 private:
  Status Do(const CrashOp& op);

  io::FileSystem* const disk_;
  const bool background_;
  std::unique_ptr<Engine> engine_;
  mutable std::mutex mutex_;
  std::vector<std::pair<CrashOp, Outcome>> history_;
};

EngineOptions CrashOptions(io::FileSystem* disk, bool background);

// Damage and orphans of every table folder below /data, one a line.
std::vector<std::string> FindDamage(io::FileSystem* disk);
// Files and folders that an opened store does not need, one a line.
std::vector<std::string> FindLeftovers(io::FileSystem* disk);

// Looks at a disk as it was found: no damage before opening, opens, shows what `history` allows,
// leaves nothing behind; goes_on: takes writes and shows them after another opening. "" or what is
// wrong.
std::string CheckDisk(io::FileSystem* disk, const std::vector<std::pair<CrashOp, Outcome>>& history,
                      bool goes_on);

}  // namespace fletching::engine
