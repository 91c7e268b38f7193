#include "io/fault_file_system.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/sim_file_system.h"

namespace fletching::io {
namespace {

// One call of every kind that counts, stopping at the first error.
Status CallEverything(FileSystem* fs) {
  ARROW_RETURN_NOT_OK(fs->MakeFolder("/d"));
  ARROW_ASSIGN_OR_RAISE(const auto lock, fs->Lock("/d/LOCK"));
  ARROW_ASSIGN_OR_RAISE(const auto file, fs->Create("/d/f"));
  ARROW_RETURN_NOT_OK(file->Append(AsBytes("hello")));
  std::vector<uint8_t> got(5);
  ARROW_RETURN_NOT_OK(file->ReadAt(0, got));
  ARROW_RETURN_NOT_OK(file->Sync());
  ARROW_RETURN_NOT_OK(file->Close());
  ARROW_RETURN_NOT_OK(fs->Rename("/d/f", "/d/g"));
  ARROW_RETURN_NOT_OK(fs->SyncFolder("/d"));
  ARROW_RETURN_NOT_OK(fs->Link("/d/g", "/d/h"));
  ARROW_ASSIGN_OR_RAISE(const auto mapped, fs->Map("/d/g"));
  ARROW_ASSIGN_OR_RAISE(const auto entries, fs->List("/d"));
  ARROW_RETURN_NOT_OK(fs->Remove("/d/g"));
  return fs->RemoveFolder("/d");
}
constexpr uint64_t kEveryCall = 14;

TEST(FaultFileSystem, FailsTheNthCallForEveryN) {
  for (uint64_t n = 1; n <= kEveryCall + 1; ++n) {
    SimFileSystem sim;
    FaultFileSystem disk(&sim);
    disk.SetPlan({.at = n, .status = StorageFull("no space")});
    const Status status = CallEverything(&disk);
    EXPECT_EQ(disk.fired(), n <= kEveryCall);
    EXPECT_EQ(disk.call_count(), std::min(n, kEveryCall));
    if (n > kEveryCall) {
      EXPECT_TRUE(status.ok());
    } else {
      EXPECT_EQ(CodeOf(status), ErrorCode::kStorageFull) << disk.LogText();
    }
  }
}

TEST(FaultFileSystem, NamesEveryCallInItsLog) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan({.at = 1, .kinds = {IoCall::kRename}});
  EXPECT_FALSE(CallEverything(&disk).ok());
  EXPECT_EQ(disk.LogText(),
            "1 make_folder /d\n2 lock /d/LOCK\n3 create /d/f\n4 append /d/f\n5 read_at /d/f\n"
            "6 sync /d/f\n7 close /d/f\n8 rename /d/g SPOILED\n");
  EXPECT_EQ(disk.Log()[7].call, IoCall::kRename);
  EXPECT_TRUE(disk.Log()[7].spoiled);
}

TEST(FaultFileSystem, FailsOnceOrFromThenOn) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan({.at = 2});
  EXPECT_TRUE(disk.MakeFolder("/a").ok());
  EXPECT_FALSE(disk.MakeFolder("/b").ok());
  EXPECT_TRUE(disk.MakeFolder("/c").ok());
  disk.SetPlan({.at = 2, .from_then_on = true});
  EXPECT_TRUE(disk.MakeFolder("/d").ok());
  EXPECT_FALSE(disk.MakeFolder("/e").ok());
  EXPECT_FALSE(disk.MakeFolder("/f").ok());
  EXPECT_FALSE(disk.Exists("/e"));
}

TEST(FaultFileSystem, CountsOnlyTheKindsAndPathsOfThePlan) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan({.at = 2, .kinds = {IoCall::kCreate}, .path_contains = ".log"});
  EXPECT_TRUE(disk.MakeFolder("/x.log").ok());
  EXPECT_TRUE(disk.Create("/a.log").ok());
  EXPECT_TRUE(disk.Create("/b.seg").ok());
  EXPECT_EQ(disk.call_count(), 1u);
  EXPECT_FALSE(disk.Create("/c.log").ok());
}

TEST(FaultFileSystem, LeavesAPrefixOfAFailedAppendAndThenGivesTheFileUp) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  auto file = *disk.Create("/f");
  disk.SetPlan({.at = 1, .kinds = {IoCall::kAppend}, .append_prefix_bytes = 4});
  const ByteSpan pieces[] = {AsBytes("abc"), AsBytes("def")};
  EXPECT_FALSE(file->Append(std::span(pieces)).ok());
  EXPECT_EQ(file->size_bytes(), 4u);
  EXPECT_FALSE(file->Append(AsBytes("more")).ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_TRUE(file->Close().ok());
  EXPECT_EQ((*sim.Map("/f"))->bytes().size(), 4u);
}

TEST(FaultFileSystem, LetsAnAppendBeTriedAgainWhenNothingWasWritten) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  auto file = *disk.Create("/f");
  disk.SetPlan({.at = 1, .kinds = {IoCall::kAppend}});
  EXPECT_FALSE(file->Append(AsBytes("abc")).ok());
  EXPECT_TRUE(file->Append(AsBytes("abc")).ok());
  EXPECT_EQ(file->size_bytes(), 3u);
}

TEST(FaultFileSystem, NeverSyncsAFileAgainWhoseSyncFailed) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  auto file = *disk.Create("/f");
  ASSERT_TRUE(file->Append(AsBytes("abc")).ok());
  disk.SetPlan({.at = 1, .kinds = {IoCall::kSync}});
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(file->Append(AsBytes("more")).ok());
  EXPECT_EQ(sim.Describe()[0], "/f 3 bytes, 0 synced, name not synced");
}

TEST(FaultFileSystem, SkipsASyncWithoutSayingSo) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan({.at = 1,
                .kinds = {IoCall::kSync, IoCall::kSyncFolder},
                .from_then_on = true,
                .effect = FaultEffect::kSkip});
  auto file = *disk.Create("/f");
  ASSERT_TRUE(file->Append(AsBytes("abc")).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(disk.SyncFolder("/").ok());
  EXPECT_EQ(sim.Describe()[0], "/f 3 bytes, 0 synced, name not synced");
}

TEST(FaultFileSystem, RefusesToSkipWhatGivesSomethingBack) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(disk.SetPlan({.at = 1, .effect = FaultEffect::kSkip}), "kinds.empty");
  EXPECT_DEATH(disk.SetPlan({.at = 1, .kinds = {IoCall::kCreate}, .effect = FaultEffect::kSkip}),
               "kCreate");
}

TEST(FaultFileSystem, ReportsAFailureOfWhatWasDone) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  disk.SetPlan({.at = 1, .kinds = {IoCall::kMakeFolder}, .effect = FaultEffect::kFailAfter});
  EXPECT_FALSE(disk.MakeFolder("/a").ok());
  EXPECT_TRUE(sim.Exists("/a"));
}

TEST(FaultFileSystem, ShowsEveryCallToItsObserverBeforeItHappens) {
  SimFileSystem sim;
  FaultFileSystem disk(&sim);
  std::vector<size_t> files_before;
  disk.SetObserver([&](const IoRecord&) { files_before.push_back(sim.Describe().size()); });
  ASSERT_TRUE(disk.MakeFolder("/a").ok());
  ASSERT_TRUE(disk.MakeFolder("/b").ok());
  EXPECT_EQ(files_before, (std::vector<size_t>{0, 1}));
}

}  // namespace
}  // namespace fletching::io
