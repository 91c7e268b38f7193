// Power loss: the store on a simulated disk, cut off at every call. What was acknowledged is there,
// what was not is there whole or not at all, nothing is damaged, and the store goes on. With any
// sync left out of the code, it does not.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/test_crash_store.h"
#include "io/fault_file_system.h"
#include "io/sim_file_system.h"

namespace fletching::engine {
namespace {

using io::FaultFileSystem;
using io::FaultPlan;
using io::IoCall;
using io::IoRecord;
using io::SimFileSystem;

struct CrashRun {
  std::vector<CrashOp> ops;
  FaultPlan plan = {};
  bool background = false;
  int seeds_per_call = 1;
  int every = 1;      // crash at every so many calls
  bool deep = false;  // crash again while the store recovers
  bool only_after_fault = false;
  uint64_t first_seed = 0;
};

struct CrashOutcome {
  std::string loss;  // "" = none
  int crashes = 0;
  std::vector<IoRecord> log;
};

std::string LastLines(const std::string& text) {
  size_t at = text.size();
  for (int lines = 0; lines < 41 && at != std::string::npos && at > 0; ++lines) {
    at = text.rfind('\n', at - 1);
  }
  return at == std::string::npos ? text : text.substr(at + 1);
}

// Cuts the power again at every call of the recovery itself.
std::string CheckDeep(const SimFileSystem& disk,
                      const std::vector<std::pair<CrashOp, Outcome>>& history, uint64_t seed) {
  const auto first = disk.Crash(seed);
  FaultFileSystem recovering(first.get());
  std::string complaint;
  uint64_t call = 0;
  recovering.SetObserver([&](const IoRecord&) {
    if (!complaint.empty()) return;
    const auto second = first->Crash(seed + ++call);
    complaint = CheckDisk(second.get(), history, false);
  });
  CrashStore store(&recovering, false);
  const Status status = store.Open();
  if (!status.ok()) return status.ToString();
  return complaint;
}

CrashOutcome RunWithCrashes(const CrashRun& run) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan(run.plan);
  CrashOutcome outcome;
  std::mutex mutex;  // the background thread makes calls too
  CrashStore store(&disk, run.background);
  int call = 0;
  const auto crash = [&](const IoRecord&) {
    const std::lock_guard one(mutex);
    if (!outcome.loss.empty() || call++ % run.every != 0) return;
    if (run.only_after_fault && !disk.fired()) return;
    for (int i = 0; i < run.seeds_per_call; ++i) {
      const uint64_t seed = run.first_seed + static_cast<uint64_t>(call * run.seeds_per_call + i);
      std::unique_ptr<SimFileSystem> after;
      std::vector<std::pair<CrashOp, Outcome>> history;
      {
        const auto frozen = store.Freeze();
        history = store.HistoryWhileFrozen();
        after = sim.Crash(seed);
      }
      ++outcome.crashes;
      std::string complaint =
          run.deep ? CheckDeep(sim, history, seed) : CheckDisk(after.get(), history, seed % 4 == 0);
      if (complaint.empty()) continue;
      outcome.loss = "call " + std::to_string(call) + ", seed " + std::to_string(seed) + ": " +
                     complaint + "\nlast calls:\n" + LastLines(disk.LogText());
      return;
    }
  };
  disk.SetObserver(crash);
  const Status opened = store.Open();
  EXPECT_TRUE(opened.ok()) << opened;
  for (const CrashOp& op : run.ops) {
    const Status status = store.Perform(op);
    EXPECT_TRUE(status.ok()) << op.Text() << ": " << status;
  }
  crash({});
  store.Close();
  outcome.log = disk.Log();
  return outcome;
}

TEST(EngineCrash, LosesNothingWhereverThePowerGoes) {
  int crashes = 0;
  for (uint64_t seed = 1; crashes < 2000; ++seed) {
    const CrashOutcome outcome =
        RunWithCrashes({.ops = RandomOps(seed, 16), .first_seed = seed * 1'000});
    ASSERT_EQ(outcome.loss, "") << "operations of seed " << seed;
    crashes += outcome.crashes;
  }
}

TEST(EngineCrash, LosesNothingWhenThePowerGoesWhileItRecovers) {
  for (uint64_t seed = 101; seed <= 106; ++seed) {
    const CrashOutcome outcome = RunWithCrashes(
        {.ops = RandomOps(seed, 10), .every = 5, .deep = true, .first_seed = seed * 1'000});
    ASSERT_EQ(outcome.loss, "") << "operations of seed " << seed;
  }
}

TEST(EngineCrash, LosesNothingWhileCompactionRuns) {
  for (uint64_t seed = 201; seed <= 210; ++seed) {
    const CrashOutcome outcome = RunWithCrashes(
        {.ops = RandomOps(seed, 24), .background = true, .first_seed = seed * 1'000});
    ASSERT_EQ(outcome.loss, "") << "operations of seed " << seed;
  }
}

// Which sync of the code a call is, told from the calls before it.
std::string SiteOf(const std::vector<IoRecord>& log, size_t at) {
  const IoRecord& record = log[at];
  const IoRecord& before = log[at - 1];
  const auto ends = [](const IoRecord& r, std::string_view ending) {
    return r.path.ends_with(ending);
  };
  if (record.call == IoCall::kSync) {
    if (ends(record, ".flseg")) return "bytes of a segment";
    if (ends(record, ".flman.tmp")) return "bytes of a manifest";
    return log[at - 2].call == IoCall::kCreate ? "header of a log" : "group of writes";
  }
  if (!record.path.starts_with("/data/tables")) return "data folder";
  if (record.path == "/data/tables") {
    return before.path.find(".dropped-") != std::string::npos ? "table dropped" : "table made";
  }
  if (record.path.find("/.new-") != std::string::npos) return "name of a first manifest";
  if (before.call == IoCall::kRename) return "name of a manifest";
  if (ends(before, ".fllog")) return "name of a log";
  return before.call == IoCall::kMap ? "name of a merged segment" : "names of a large write";
}

bool IsSync(const IoRecord& record) {
  return record.call == IoCall::kSync || record.call == IoCall::kSyncFolder;
}

// Leaves out one sync after the other until each place in the code has shown a loss.
TEST(EngineCrash, ShowsTheLossOfEverySyncThatIsLeftOut) {
  // A later sync covers these before anything depends on them:
  const std::map<std::string, std::string> covered = {
      // The first group of writes syncs the same file, header and all; a log without a whole header
      // and without a frame is passed over.
      {"header of a log", "the sync of its first group"}};
  using Kind = CrashOp::Kind;
  const std::vector<CrashOp> ops = {
      {Kind::kCreate, "a", 0, 0, 1},  {Kind::kWrite, "a", 0, 3, 2},   {Kind::kWrite, "a", 5, 40, 3},
      {Kind::kWrite, "a", 1, 3, 4},   {Kind::kFlush, "a", 0, 0, 5},   {Kind::kWrite, "a", 2, 3, 6},
      {Kind::kWrite, "a", 9, 40, 7},  {Kind::kCompact, "a", 0, 0, 8}, {Kind::kWrite, "a", 3, 3, 9},
      {Kind::kCreate, "b", 0, 0, 10}, {Kind::kWrite, "b", 1, 1, 11},  {Kind::kDrop, "b", 0, 0, 12},
      {Kind::kWrite, "a", 4, 3, 13}};
  const std::vector<IoRecord> log = RunWithCrashes({.ops = ops, .every = 1 << 30}).log;
  std::map<std::string, bool> lost;
  uint64_t number = 0;
  for (size_t at = 0; at < log.size(); ++at) {
    if (!IsSync(log[at])) continue;
    ++number;
    bool& is_lost = lost[SiteOf(log, at)];
    if (is_lost) continue;
    const CrashRun without = {.ops = ops,
                              .plan = {.at = number,
                                       .kinds = {IoCall::kSync, IoCall::kSyncFolder},
                                       .effect = io::FaultEffect::kSkip},
                              .seeds_per_call = 3,
                              .only_after_fault = true};
    is_lost = !RunWithCrashes(without).loss.empty();
  }
  EXPECT_EQ(lost.size(), 12u);
  for (const auto& [site, is_lost] : lost) {
    EXPECT_EQ(is_lost, !covered.contains(site)) << site;
  }
}

}  // namespace
}  // namespace fletching::engine
