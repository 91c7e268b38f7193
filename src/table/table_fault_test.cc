// What a failing disk leaves in the folder of a table, and that the table goes on by itself.
// engine/engine_fault_test.cc fails every call of a whole store; here are the cases by name.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "format/file_names.h"
#include "io/fault_file_system.h"
#include "table/test_table.h"
#include "table/verify.h"

namespace fletching::table {
namespace {

using io::FaultEffect;
using io::FaultFileSystem;
using io::IoCall;

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()}};
  schema.key = {"id"};
  return schema;
}

class TableFault : public ::testing::Test {
 protected:
  Status WriteOne(int64_t id, int64_t value) {
    return table_.Write({ArrayOf(arrow::int64(), {id}), ArrayOf(arrow::int32(), {value})}).status();
  }
  Status WriteLarge(int64_t first) {
    Ints ids;
    for (int64_t i = 0; i < 40'000; ++i) ids.push_back(first + i);
    return table_
        .Write({ArrayOf(arrow::int64(), ids), ArrayOf(arrow::int32(), Ints(ids.size(), 1))})
        .status();
  }
  std::vector<std::string> Orphans() {
    VerifyReport report;
    EXPECT_TRUE(VerifyTable(&sim_, TestTable::kFolder, &report).ok());
    EXPECT_TRUE(report.damage.empty()) << report.damage[0];
    return report.orphans;
  }

  io::SimFileSystem sim_;
  FaultFileSystem disk_{&sim_};
  TestTable table_{&disk_, Numbers(), 100'000};
};

// The new log that a flush begins says where the old one ends. When making it failed, it may still
// be found after a power loss, and must not cut off what came later.
TEST_F(TableFault, KeepsWritesAfterAFlushThatCouldNotBeginItsLog) {
  for (const IoCall call : {IoCall::kSync, IoCall::kSyncFolder}) {
    ASSERT_TRUE(WriteOne(1, 1).ok());
    disk_.SetPlan({.at = 1, .kinds = {call}});
    EXPECT_FALSE(table_->Flush().ok());
    ASSERT_TRUE(WriteOne(2, 2).ok());
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const auto after = sim_.Crash(seed);
      TestTable reopened(after.get(), Numbers());
      ASSERT_TRUE(reopened.opened().ok()) << reopened.opened();
      ASSERT_EQ(reopened.ShowAll(), "1 1 | 2 2 | ") << "seed " << seed;
    }
  }
}

TEST_F(TableFault, ShowsNoWriteBeforeItsLogIsDurable) {
  ASSERT_TRUE(WriteOne(1, 1).ok());
  int syncs = 0;
  disk_.SetObserver([&](const io::IoRecord& record) {
    if (record.call != IoCall::kSync) return;
    ++syncs;
    EXPECT_EQ(table_.Show(ArrayOf(arrow::int64(), {1, 2})), "1 | missing | ");
    EXPECT_EQ(table_.ShowAll(), "1 1 | ");
  });
  ASSERT_TRUE(WriteOne(1, 3).ok());
  disk_.SetObserver(nullptr);
  EXPECT_EQ(syncs, 1);
  EXPECT_EQ(table_.ShowAll(), "1 3 | ");
}

// What of a group could not be made durable is never seen again, also not beside later writes.
TEST_F(TableFault, ForgetsAWriteWhoseSyncFailed) {
  ASSERT_TRUE(WriteOne(1, 1).ok());
  disk_.SetPlan({.at = 1, .kinds = {IoCall::kSync}});
  EXPECT_FALSE(WriteOne(1, 2).ok());
  EXPECT_EQ(table_.ShowAll(), "1 1 | ");
  ASSERT_TRUE(WriteOne(3, 3).ok());
  EXPECT_EQ(table_.Show(ArrayOf(arrow::int64(), {1, 3})), "1 | 3 | ");
  ASSERT_TRUE(table_->Compact().ok());
  EXPECT_EQ(table_.ShowAll(), "1 1 | 3 3 | ");
}

// The log may name the segments of a write whose sync failed.
TEST_F(TableFault, OpensAfterALargeWriteThatTheLogMayHold) {
  ASSERT_TRUE(WriteOne(-1, 1).ok());
  disk_.SetPlan({.at = 1,
                 .kinds = {IoCall::kSync},
                 .path_contains = format::kLogEnding.data(),
                 .effect = FaultEffect::kFailAfter});
  EXPECT_FALSE(WriteLarge(0).ok());
  EXPECT_EQ(table_.ShowAll(), "-1 1 | ");
  {
    const auto after = sim_.Crash(1);
    TestTable reopened(after.get(), Numbers());
    ASSERT_TRUE(reopened.opened().ok()) << reopened.opened();
  }
  ASSERT_TRUE(WriteOne(-2, 2).ok());
  EXPECT_TRUE(Orphans().empty());
  ASSERT_TRUE(table_.Open().ok());
  EXPECT_EQ(table_.ShowAll(), "-1 1 | -2 2 | ");
}

// A manifest with the new schema may have its name although the change was reported to have failed.
TEST_F(TableFault, ReadsRowsOfTheOldSchemaAfterAChangeThatFailed) {
  ASSERT_TRUE(WriteOne(1, 1).ok());
  disk_.SetPlan({.at = 3, .kinds = {IoCall::kSyncFolder}, .from_then_on = true});
  EXPECT_FALSE(table_->WidenColumn("value", arrow::int64()).ok());
  EXPECT_FALSE(WriteOne(2, 2).ok());  // until the disk is well
  disk_.SetPlan({});
  ASSERT_TRUE(WriteOne(2, 2).ok());
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto after = sim_.Crash(seed);
    TestTable reopened(after.get(), Numbers());
    ASSERT_TRUE(reopened.opened().ok()) << reopened.opened();
    ASSERT_EQ(reopened.ShowAll(), "1 1 | 2 2 | ") << "seed " << seed;
  }
}

TEST_F(TableFault, LeavesNoFilesOfAFlushOrCompactionThatFailed) {
  for (uint64_t n = 1; n < 40; ++n) {
    ASSERT_TRUE(WriteOne(1, 1).ok());
    ASSERT_TRUE(table_->Flush().ok());
    ASSERT_TRUE(WriteOne(2, 2).ok());
    disk_.SetPlan({.at = n,
                   .kinds = {IoCall::kCreate, IoCall::kAppend, IoCall::kSync, IoCall::kClose,
                             IoCall::kRename, IoCall::kSyncFolder, IoCall::kMap},
                   .status = StorageFull("injected: No space left on device")});
    const Status status = table_->Compact();
    const bool fired = disk_.fired();
    disk_.SetPlan({});
    EXPECT_EQ(status.ok(), !fired) << status;
    const std::vector<std::string> orphans = Orphans();
    EXPECT_TRUE(orphans.empty()) << "call " << n << ": " << orphans[0];
    if (!fired) return;
  }
  FAIL() << "a compaction takes fewer calls";
}

// Bytes that the disk does not give us look like the torn end of a crash, or like a log whose
// making never finished; what was acknowledged must not be dropped for that.
TEST_F(TableFault, DropsNothingThatCannotBeReadAtOpening) {
  ASSERT_TRUE(WriteOne(1, 1).ok());
  ASSERT_TRUE(table_->Flush().ok());
  ASSERT_TRUE(WriteOne(2, 2).ok());
  ASSERT_TRUE(WriteLarge(10).ok());
  const std::string all = table_.ShowAll();
  for (const std::string_view ending :
       {format::kLogEnding, format::kManifestEnding, format::kSegmentEnding}) {
    disk_.SetPlan({.at = 1,
                   .kinds = {IoCall::kMap},
                   .path_contains = std::string(ending),
                   .from_then_on = true,
                   .effect = FaultEffect::kUnreadable});
    const Status opened = table_.Open();
    ASSERT_FALSE(opened.ok()) << ending;
    EXPECT_EQ(CodeOf(opened), ErrorCode::kUnavailable) << opened;
    EXPECT_NE(opened.message().find(ending), std::string::npos) << opened;
    VerifyReport report;
    ASSERT_TRUE(VerifyTable(&disk_, TestTable::kFolder, &report).ok());
    ASSERT_FALSE(report.damage.empty());
    EXPECT_NE(report.damage[0].find("could not be read"), std::string::npos) << report.damage[0];
    disk_.SetPlan({});
    ASSERT_TRUE(table_.Open().ok());
    EXPECT_EQ(table_.ShowAll(), all);
  }
}

TEST_F(TableFault, AsksForMaintenanceAgainAfterItFailed) {
  for (int64_t i = 0; i < 4; ++i) ASSERT_TRUE(WriteLarge(i).ok());
  ASSERT_TRUE(table_->NeedsMaintenance());
  disk_.SetPlan({.at = 1, .kinds = {IoCall::kCreate}});
  EXPECT_FALSE(table_->Maintain().ok());
  EXPECT_TRUE(table_->NeedsMaintenance());
  EXPECT_TRUE(table_->Maintain().ok());
  EXPECT_FALSE(table_->NeedsMaintenance());
}

}  // namespace
}  // namespace fletching::table
