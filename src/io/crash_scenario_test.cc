// The two stand-ins at work: a small store that replaces one file and appends to another, cut off
// at every call with many seeds. With all its syncs it never loses what it acknowledged; with any
// one of them left out, some seed shows the loss. This is the shape of the store's own crash test.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "io/fault_file_system.h"
#include "io/sim_file_system.h"

namespace fletching::io {
namespace {

constexpr int kRounds = 3;

// How many rounds of each kind were acknowledged.
struct Acknowledged {
  int replaced = 0;
  int logged = 0;
};

std::string Record(int round) {
  std::string record(900, static_cast<char>('a' + round));  // crosses a sector
  const uint64_t checksum = Checksum(AsBytes(record));
  record.append(reinterpret_cast<const char*>(&checksum), sizeof(checksum));
  return record;
}

Status Replace(FileSystem* fs, int round) {
  ARROW_ASSIGN_OR_RAISE(const auto file, fs->Create("/data/next"));
  ARROW_RETURN_NOT_OK(file->Append(AsBytes(Record(round))));
  ARROW_RETURN_NOT_OK(file->Sync());
  ARROW_RETURN_NOT_OK(file->Close());
  ARROW_RETURN_NOT_OK(fs->Rename("/data/next", "/data/current"));
  return fs->SyncFolder("/data");
}

Status RunStore(FileSystem* fs, Acknowledged* done) {
  ARROW_RETURN_NOT_OK(fs->MakeFolder("/data"));
  ARROW_RETURN_NOT_OK(fs->SyncFolder("/"));
  ARROW_ASSIGN_OR_RAISE(const auto log, fs->Create("/data/log"));
  ARROW_RETURN_NOT_OK(fs->SyncFolder("/data"));
  for (int round = 1; round <= kRounds; ++round) {
    ARROW_RETURN_NOT_OK(Replace(fs, round));
    done->replaced = round;
    ARROW_RETURN_NOT_OK(log->Append(AsBytes(Record(round))));
    ARROW_RETURN_NOT_OK(log->Sync());
    done->logged = round;
  }
  return log->Close();
}

std::string Text(FileSystem* fs, const std::string& path) {
  const auto mapped = fs->Map(path);
  if (!mapped.ok()) return {};
  return {(*mapped)->bytes().begin(), (*mapped)->bytes().end()};
}

// What is wrong with the disk after a crash, or "".
std::string Complaint(FileSystem* fs, const Acknowledged& done) {
  const std::string current = Text(fs, "/data/current");
  const int next = std::min(done.replaced + 1, kRounds);
  const bool nothing_yet = done.replaced == 0 && current.empty();
  if (!nothing_yet && current != Record(std::max(done.replaced, 1)) && current != Record(next)) {
    return "current is not round " + std::to_string(done.replaced);
  }
  const std::string log = Text(fs, "/data/log");
  std::string expected;
  for (int round = 1; round <= done.logged; ++round) expected += Record(round);
  return log.starts_with(expected) ? "" : "the log lost a round";
}

// Cuts the power before every call, `seeds` times each. The first loss found.
std::optional<std::string> FindLoss(const FaultPlan& plan, uint64_t seeds) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan(plan);
  Acknowledged done;
  std::optional<std::string> loss;
  const auto crash = [&] {
    for (uint64_t seed = 0; seed < seeds && !loss; ++seed) {
      const std::string complaint = Complaint(sim.Crash(seed).get(), done);
      if (!complaint.empty()) {
        loss = complaint + "; seed " + std::to_string(seed) + "\n" + disk.LogText();
      }
    }
  };
  disk.SetObserver([&](const IoRecord&) { crash(); });
  EXPECT_TRUE(RunStore(&disk, &done).ok());
  crash();
  return loss;
}

TEST(CrashScenario, LosesNothingOverManySeedsWithAllItsSyncs) {
  EXPECT_EQ(FindLoss({}, 200), std::nullopt);
}

TEST(CrashScenario, ShowsTheLossOfAnyOneSync) {
  const std::set<IoCall> syncs = {IoCall::kSync, IoCall::kSyncFolder};
  SimFileSystem sim;
  FaultFileSystem counting(&sim);
  counting.SetPlan({.kinds = syncs});
  Acknowledged done;
  ASSERT_TRUE(RunStore(&counting, &done).ok());
  ASSERT_EQ(counting.call_count(), 2u + 3u * kRounds);
  for (uint64_t n = 1; n <= counting.call_count(); ++n) {
    // The second makes the name of the log durable, and so does the next sync of that folder,
    // before anything depends on it.
    if (n == 2) continue;
    const FaultPlan without = {.at = n, .kinds = syncs, .effect = FaultEffect::kSkip};
    EXPECT_NE(FindLoss(without, 50), std::nullopt) << "without sync number " << n;
  }
}

TEST(CrashScenario, ShowsTheLossOfAllSyncsOfOneKind) {
  for (IoCall kind : {IoCall::kSync, IoCall::kSyncFolder}) {
    const FaultPlan without = {
        .at = 1, .kinds = {kind}, .from_then_on = true, .effect = FaultEffect::kSkip};
    EXPECT_NE(FindLoss(without, 50), std::nullopt) << "without any " << IoCallName(kind);
  }
}

TEST(CrashScenario, LosesNothingWhenTheNthCallFailsAndThePowerWithIt) {
  for (const FaultEffect effect : {FaultEffect::kFail, FaultEffect::kFailAfter}) {
    for (uint64_t n = 1;; ++n) {
      SimFileSystem sim;
      FaultFileSystem disk(&sim);
      disk.SetPlan({.at = n,
                    .from_then_on = true,
                    .effect = effect,
                    .append_prefix_bytes = static_cast<int64_t>(n * 37 % 900)});
      Acknowledged done;
      const Status status = RunStore(&disk, &done);
      for (uint64_t seed = 0; seed < 20; ++seed) {
        EXPECT_EQ(Complaint(sim.Crash(seed).get(), done), "") << "call " << n << ", seed " << seed;
      }
      if (!disk.fired()) break;
      EXPECT_FALSE(status.ok());
    }
  }
}

}  // namespace
}  // namespace fletching::io
