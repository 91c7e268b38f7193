// Snapshots: one version of every table, taken while the engine works, whole or not there at all.
// (The model test goes on in a snapshot now and then, which compares all types and schema changes.)
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "engine/test_crash_store.h"
#include "format/segment_layout.h"
#include "io/fault_file_system.h"
#include "io/sim_file_system.h"
#include "io/test_folder.h"

namespace fletching::engine {
namespace {

using io::FaultEffect;
using io::FaultFileSystem;
using io::FaultPlan;
using io::IoCall;
using io::SimFileSystem;
using Kind = CrashOp::Kind;

// Segments, rows in memory, deletions, two tables.
std::vector<CrashOp> SomeOps() {
  return {
      {Kind::kCreate, "a", 0, 0, 1}, {Kind::kWrite, "a", 0, 40, 2}, {Kind::kFlush, "a", 0, 0, 3},
      {Kind::kWrite, "a", 5, 3, 4},  {Kind::kWrite, "a", 9, 40, 5}, {Kind::kDelete, "a", 12, 3, 6},
      {Kind::kPatch, "a", 1, 2, 7},  {Kind::kCreate, "b", 0, 0, 8}, {Kind::kWrite, "b", 1, 2, 9}};
}

EngineOptions OptionsAt(io::FileSystem* disk, const std::string& dir, OpenMode mode) {
  EngineOptions options = CrashOptions(disk, false);
  options.data_dir = dir;
  options.mode = mode;
  return options;
}

// What the data folder `dir` shows; an error when it is none.
Result<CrashState> ObserveAt(io::FileSystem* disk, const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const auto engine, Engine::Open(OptionsAt(disk, dir, OpenMode::kReadOnly)));
  return Observe(*engine);
}

class EngineSnapshot : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.Open().ok());
    for (const CrashOp& op : SomeOps()) ASSERT_TRUE(store_.Perform(op).ok()) << op.Text();
    state_ = Observe(*store_.engine()).ValueOrDie();
  }

  // "" when `dir` on `disk` is the snapshot or no data folder at all, else what is wrong.
  std::string AllOrNothing(io::FileSystem* disk) {
    const auto found = ObserveAt(disk, "/snap");
    if (found.ok()) return *found == state_ ? "" : "half a snapshot:\n" + StateText(*found);
    return CodeOf(found.status()) == ErrorCode::kNotFound ? "" : found.status().ToString();
  }

  SimFileSystem sim_;
  FaultFileSystem disk_{&sim_};
  CrashStore store_{&disk_, false};
  CrashState state_;
};

TEST_F(EngineSnapshot, IsADataFolderLikeAnyOther) {
  const auto report = store_.engine()->Snapshot({.dir = "/deep/below/snap/"});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->table_count, 2);
  EXPECT_GT(report->linked_bytes, 0);
  EXPECT_GT(report->copied_bytes, 0);
  EXPECT_EQ(report->left_out, std::vector<std::string>());
  const std::string dir = "/deep/below/snap";
  EXPECT_EQ(ObserveAt(&disk_, dir).ValueOrDie(), state_);

  // Each goes its own way.
  const auto copy = Engine::Open(OptionsAt(&disk_, dir, OpenMode::kWrite)).ValueOrDie();
  EXPECT_EQ(copy->GetTable("a")->version, store_.engine()->GetTable("a")->version);
  ASSERT_TRUE(copy->AddColumn("a", {.name = "more", .type = arrow::int32()}).ok());
  ASSERT_TRUE(copy->Compact("a").ok());
  ASSERT_TRUE(copy->DropTable("b").ok());
  EXPECT_EQ(Observe(*store_.engine()).ValueOrDie(), state_);
}

TEST_F(EngineSnapshot, CopiesWhatItCannotLink) {
  for (const FaultEffect effect : {FaultEffect::kFail, FaultEffect::kFailAfter}) {
    disk_.SetPlan({.at = 1, .kinds = {IoCall::kLink}, .from_then_on = true, .effect = effect});
    const std::string dir = "/snap" + std::to_string(static_cast<int>(effect));
    const auto report = store_.engine()->Snapshot({.dir = dir});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(disk_.fired());
    EXPECT_EQ(report->linked_bytes, 0);
    EXPECT_EQ(ObserveAt(&sim_, dir).ValueOrDie(), state_);
  }
}

TEST_F(EngineSnapshot, OutlivesTheTablesItWasTakenOf) {
  ASSERT_TRUE(store_.engine()->Snapshot({.dir = "/snap"}).ok());
  ASSERT_TRUE(store_.Perform({Kind::kWrite, "a", 0, 40, 20}).ok());
  ASSERT_TRUE(store_.Perform({Kind::kCompact, "a", 0, 0, 21}).ok());
  ASSERT_TRUE(store_.Perform({Kind::kDrop, "a", 0, 0, 22}).ok());
  store_.Close();
  EXPECT_EQ(ObserveAt(&sim_, "/snap").ValueOrDie(), state_);
}

// A reader goes on with files that are gone, and their names may stand for others by now.
TEST_F(EngineSnapshot, OfAReaderShowsWhatTheReaderShows) {
  const auto reader = Engine::Open(OptionsAt(&disk_, "/data", OpenMode::kReadOnly)).ValueOrDie();
  for (const CrashOp& op : std::vector<CrashOp>{{Kind::kCompact, "a", 0, 0, 20},
                                                {Kind::kDrop, "b", 0, 0, 21},
                                                {Kind::kDrop, "a", 0, 0, 22},
                                                {Kind::kReopen, "", 0, 0, 23},
                                                {Kind::kCreate, "a", 0, 0, 24},
                                                {Kind::kWrite, "a", 7, 40, 25},
                                                {Kind::kWrite, "a", 0, 40, 26}}) {
    ASSERT_TRUE(store_.Perform(op).ok()) << op.Text();
  }
  const auto report = reader->Snapshot({.dir = "/snap"});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->linked_bytes, 0);
  EXPECT_EQ(ObserveAt(&sim_, "/snap").ValueOrDie(), state_);
}

TEST_F(EngineSnapshot, RefusesAFolderThatIsNotItsOwn) {
  ASSERT_TRUE(disk_.MakeFolder("/full/of/things").ok());
  for (const std::string dir :
       {"/full", "/data", "/data/", "/data/snap", "/full/../data/tables/x", ""}) {
    const Status status = store_.engine()->Snapshot({.dir = dir}).status();
    ASSERT_FALSE(status.ok()) << dir;
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidArgument) << status;
    EXPECT_NE(status.message().find("name"), std::string::npos) << status;
  }
  EXPECT_EQ(disk_.List("/full")->size(), 1u);
  ASSERT_TRUE(store_.engine()->Snapshot({.dir = "/data2"}).ok());  // not inside /data
  EXPECT_FALSE(store_.engine()->Snapshot({.dir = "/data2"}).ok());
}

TEST_F(EngineSnapshot, WaitsForNobodyWhoWorksInTheSameFolder) {
  ASSERT_TRUE(disk_.MakeFolder("/snap").ok());
  const auto lock = disk_.Lock("/snap/LOCK");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(CodeOf(store_.engine()->Snapshot({.dir = "/snap"}).status()), ErrorCode::kLocked);
}

TEST_F(EngineSnapshot, LeavesOutAndNamesADamagedTable) {
  store_.Close();
  ASSERT_TRUE(sim_.Remove("/data/tables/00000002/00000000000000000001.flman").ok());
  ASSERT_TRUE(store_.Open().ok());
  const auto report = store_.engine()->Snapshot({.dir = "/snap"});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->left_out, std::vector<std::string>{"00000002"});
  state_.erase("b");
  EXPECT_EQ(ObserveAt(&sim_, "/snap").ValueOrDie(), state_);
}

TEST_F(EngineSnapshot, RefusesDamageWhenAskedToVerify) {
  ASSERT_TRUE(store_.engine()->Snapshot({.dir = "/good", .verify = true}).ok());
  store_.Close();
  const std::string path = "/good/tables/00000001/00000000000000000001.flseg";
  auto bytes = sim_.Map(path).ValueOrDie()->bytes();
  std::vector<uint8_t> damaged(bytes.begin(), bytes.end());
  damaged[format::kBlockBytes + 3] ^= 1;  // of the rows
  ASSERT_TRUE(sim_.Remove(path).ok());
  ASSERT_TRUE(sim_.Create(path).ValueOrDie()->Append(damaged).ok());
  const auto reader = Engine::Open(OptionsAt(&disk_, "/good", OpenMode::kReadOnly)).ValueOrDie();
  const Status status = reader->Snapshot({.dir = "/snap", .verify = true}).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruption) << status;
  EXPECT_NE(status.message().find(path + ": offset"), std::string::npos) << status;
  EXPECT_EQ(AllOrNothing(&sim_), "");
  EXPECT_TRUE(reader->Snapshot({.dir = "/snap"}).ok());

  ASSERT_TRUE(sim_.Remove("/good/tables/00000002/00000000000000000001.flman").ok());
  const auto again = Engine::Open(OptionsAt(&disk_, "/good", OpenMode::kReadOnly)).ValueOrDie();
  EXPECT_EQ(CodeOf(again->Snapshot({.dir = "/other", .verify = true}).status()),
            ErrorCode::kCorruption);
}

TEST_F(EngineSnapshot, EndsWhenItsProgressSaysSo) {
  disk_.SetPlan({.at = 1, .kinds = {IoCall::kLink}, .from_then_on = true});
  int64_t seen = 0;
  const auto stop_at = [&](int64_t limit) {
    return store_.engine()
        ->Snapshot({.dir = "/snap",
                    .on_progress =
                        [&, limit](int64_t bytes) {
                          seen += bytes;
                          return seen > limit ? Cancelled("enough") : Status::OK();
                        }})
        .status();
  };
  EXPECT_EQ(CodeOf(stop_at(0)), ErrorCode::kCancelled);
  EXPECT_EQ(sim_.List("/snap")->size(), 1u);  // LOCK
  EXPECT_TRUE(stop_at(INT64_MAX).ok());
  EXPECT_EQ(ObserveAt(&sim_, "/snap").ValueOrDie(), state_);
}

// After each failure: the whole snapshot or none, also through a power loss; nothing happened to
// the original; and the next attempt succeeds.
TEST_F(EngineSnapshot, IsAllOrNothingWhicheverCallFails) {
  std::vector<FaultPlan> plans = {{.effect = FaultEffect::kFail},
                                  {.effect = FaultEffect::kFailAfter},
                                  {.from_then_on = true},
                                  {.kinds = {IoCall::kCreate, IoCall::kAppend, IoCall::kSync},
                                   .from_then_on = true,
                                   .status = StorageFull("injected: No space left on device"),
                                   .append_prefix_bytes = 100}};
  for (size_t p = 0; p < plans.size(); ++p) {
    for (uint64_t n = 1;; ++n) {
      FaultPlan plan = plans[p];
      plan.at = n;
      disk_.SetPlan(plan);
      const Status status = store_.engine()->Snapshot({.dir = "/snap"}).status();
      const bool fired = disk_.fired();
      disk_.SetPlan({});
      const std::string where = "plan " + std::to_string(p) + ", call " + std::to_string(n) + "\n";
      if (!status.ok()) {
        ASSERT_EQ(CodeOf(status), CodeOf(plan.status)) << status;
        ASSERT_EQ(AllOrNothing(&sim_), "") << where;
      }
      for (uint64_t seed = 1; seed <= 6; ++seed) {
        const auto after = sim_.Crash(seed * 100 + n);
        ASSERT_EQ(AllOrNothing(after.get()), "") << where << "power off, seed " << seed * 100 + n;
        if (status.ok()) {
          ASSERT_TRUE(ObserveAt(after.get(), "/snap").ok()) << where;
        }
      }
      ASSERT_EQ(Observe(*store_.engine()).ValueOrDie(), state_) << where;
      if (!status.ok() && !sim_.Exists("/snap/tables")) {
        const Status again = store_.engine()->Snapshot({.dir = "/snap"}).status();
        ASSERT_TRUE(again.ok()) << where << again;
      }
      ASSERT_EQ(ObserveAt(&sim_, "/snap").ValueOrDie(), state_) << where;
      ASSERT_TRUE(sim_.RemoveFolder("/snap").ok());
      ASSERT_TRUE(sim_.SyncFolder("/").ok());
      if (fired) continue;
      EXPECT_GT(n, p == 3 ? 5u : 20u);
      break;
    }
  }
}

// The power goes at every call of an attempt that nothing else disturbs; what it leaves does not
// stand in the way of the next one.
TEST_F(EngineSnapshot, IsAllOrNothingWhereverThePowerGoes) {
  uint64_t seed = 0;
  std::string complaint;
  disk_.SetObserver([&](const io::IoRecord& record) {
    for (int i = 0; i < 3 && complaint.empty(); ++i) {
      const auto after = sim_.Crash(++seed);
      complaint = AllOrNothing(after.get());
      if (!complaint.empty()) {
        complaint += "\nat " + record.path + ", seed " + std::to_string(seed);
      } else if (i == 0 && !after->Exists("/snap/tables")) {
        const auto reader =
            Engine::Open(OptionsAt(after.get(), "/data", OpenMode::kReadOnly)).ValueOrDie();
        const auto report = reader->Snapshot({.dir = "/snap"});
        if (!report.ok()) complaint = "not again: " + report.status().ToString();
      }
    }
  });
  ASSERT_TRUE(store_.engine()->Snapshot({.dir = "/snap"}).ok());
  disk_.SetObserver({});
  EXPECT_EQ(complaint, "");
  EXPECT_GT(seed, 50u);
  EXPECT_TRUE(ObserveAt(sim_.Crash(seed).get(), "/snap").ok());
}

TEST_F(EngineSnapshot, OfAFullDiskLeavesNothingBehind) {
  disk_.SetPlan({.at = 1, .kinds = {IoCall::kLink}, .from_then_on = true});
  sim_.SetCapacity(20'000);
  const Status status = store_.engine()->Snapshot({.dir = "/snap"}).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kStorageFull) << status;
  EXPECT_EQ(sim_.List("/snap")->size(), 1u);  // LOCK
  sim_.SetCapacity(1 << 30);
  EXPECT_TRUE(store_.engine()->Snapshot({.dir = "/snap"}).ok());
}

// Every write puts its number into all keys, so a snapshot of anything but one version shows two.
TEST(EngineSnapshotAtWork, HoldsOneVersionAndAllThatWasAcknowledged) {
  io::TestFolder folder;
  EngineOptions options;
  options.data_dir = folder / "data";
  options.memtable_bytes_max = 20'000;
  options.small_write_bytes_max = 5'000;
  const auto engine = Engine::Open(options).ValueOrDie();
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "n", .type = arrow::int64()}};
  schema.key = {"id"};
  ASSERT_TRUE(engine->CreateTable("t", schema).ok());
  const auto write = [&](int64_t n) {
    arrow::Int64Builder ids;
    arrow::Int64Builder values;
    const int64_t count = n % 7 == 0 ? 300 : 50;  // large ones become a segment at once
    for (int64_t i = 0; i < count; ++i) {
      if (!ids.Append(i % 50).ok() || !values.Append(n).ok()) return Status::Invalid("builder");
    }
    const auto rows = arrow::RecordBatch::Make(
        arrow::schema({arrow::field("id", arrow::int64()), arrow::field("n", arrow::int64())}),
        count, {ids.Finish().ValueOrDie(), values.Finish().ValueOrDie()});
    const auto reader = arrow::RecordBatchReader::Make({rows}).ValueOrDie();
    return engine->Write({.table = "t"}, reader.get()).status();
  };
  ASSERT_TRUE(write(1).ok());
  std::atomic<int64_t> acknowledged{1};
  std::atomic<bool> is_done{false};
  std::thread writer([&] {
    for (int64_t n = 2; !is_done; ++n) {
      ASSERT_TRUE(write(n).ok());
      acknowledged = n;
    }
  });
  for (int round = 0; round < 25; ++round) {
    const int64_t before = acknowledged;
    const std::string dir = folder / ("snap" + std::to_string(round));
    const auto report = engine->Snapshot({.dir = dir});
    ASSERT_TRUE(report.ok()) << report.status();
    const auto verified = Engine::Verify(dir);
    ASSERT_TRUE(verified.ok() && verified->damage.empty());
    EXPECT_EQ(verified->orphans, std::vector<std::string>());
    EngineOptions copy_options;
    copy_options.data_dir = dir;
    copy_options.mode = OpenMode::kReadOnly;
    const auto copy = Engine::Open(copy_options).ValueOrDie();
    const auto rows = copy->Scan({.table = "t"}).ValueOrDie()->ToTable().ValueOrDie();
    ASSERT_EQ(rows->num_rows(), 50);
    const auto merged = rows->CombineChunksToBatch().ValueOrDie();
    const auto& values = static_cast<const arrow::Int64Array&>(*merged->GetColumnByName("n"));
    for (int64_t i = 0; i < 50; ++i) ASSERT_EQ(values.Value(i), values.Value(0));
    EXPECT_GE(values.Value(0), before);
    EXPECT_EQ(copy->GetTable("t")->version, static_cast<uint64_t>(values.Value(0)));
  }
  is_done = true;
  writer.join();
  ASSERT_TRUE(engine->Compact("t").ok());
  ASSERT_TRUE(engine->DropTable("t").ok());
  const auto verified = Engine::Verify(folder / "snap0");
  EXPECT_TRUE(verified.ok() && verified->damage.empty());
}

}  // namespace
}  // namespace fletching::engine
