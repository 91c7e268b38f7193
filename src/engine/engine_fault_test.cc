// The n-th call to the disk fails, for every n: the error is reported and nothing of it is seen,
// reads go on, acknowledged writes stay through a crash, and when the disk is well again so is the
// store, without being opened anew.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/test_crash_store.h"
#include "io/fault_file_system.h"
#include "io/sim_file_system.h"

namespace fletching::engine {
namespace {

using io::FaultEffect;
using io::FaultFileSystem;
using io::FaultPlan;
using io::IoCall;
using io::SimFileSystem;
using Kind = CrashOp::Kind;

// Every kind of operation, and writes between all that could leave something behind.
std::vector<CrashOp> AllOps() {
  std::vector<CrashOp> ops;
  const auto add = [&](Kind kind, const std::string& table, int first = 0, int count = 0) {
    ops.push_back({kind, table, first, count});
  };
  add(Kind::kCreate, "a");
  add(Kind::kWrite, "a", 0, 3);
  add(Kind::kWrite, "a", 10, 40);
  add(Kind::kPatch, "a", 1, 2);
  add(Kind::kDelete, "a", 12, 3);
  add(Kind::kFlush, "a");
  add(Kind::kWrite, "a", 1, 2);
  add(Kind::kAddColumn, "a");
  add(Kind::kWrite, "a", 2, 3);
  add(Kind::kWiden, "a");
  add(Kind::kWrite, "a", 3, 3);
  add(Kind::kCreate, "b");
  add(Kind::kWrite, "b", 0, 2);
  add(Kind::kWrite, "a", 20, 40);
  add(Kind::kCompact, "a");
  add(Kind::kWrite, "a", 4, 3);
  add(Kind::kCreate, "g");
  add(Kind::kReplace, "g", 0, 3);
  add(Kind::kReplace, "g", 0, 40);
  add(Kind::kRollBack, "g");
  add(Kind::kReplace, "g", 7, 20);
  add(Kind::kDrop, "b");
  add(Kind::kReopen, "");
  add(Kind::kWrite, "a", 5, 3);
  add(Kind::kWrite, "a", 25, 40);
  add(Kind::kFlush, "a");
  return ops;
}

class FaultRun {
 public:
  // retries: what failed is tried again at once; else the next operation finds what it left.
  FaultRun(const FaultPlan& plan, bool retries)
      : plan_(plan), retries_(retries), disk_(&sim_), store_(&disk_, false) {}

  // False when the plan never came to anything: there are no more calls.
  bool Run() {
    disk_.SetPlan(plan_);
    checks_left_ = 3;  // of what opening may have left undone
    if (!Open()) return true;
    for (CrashOp op : AllOps()) {
      Perform(op);
      if (failed()) return true;
    }
    const bool fired = disk_.fired() || has_fired_;
    disk_.SetPlan({});
    store_.Close();
    CheckCrashes("at the end");
    const std::string complaint = CheckDisk(&sim_, store_.History(), true);
    if (!complaint.empty()) Fail("at the end: " + complaint);
    return fired;
  }
  const std::string& complaint() const { return complaint_; }
  bool failed() const { return !complaint_.empty(); }

 private:
  void Fail(const std::string& text) {
    if (!failed()) complaint_ = text;
  }

  // Ends the fault, if there was one.
  void Heal() {
    has_fired_ = has_fired_ || disk_.fired();
    disk_.SetPlan({});
  }

  bool IsWhole() {
    for (const TableInfo& info : store_.engine()->ListTables()) {
      if (!info.health.ok()) return false;
    }
    return true;
  }

  bool Open() {
    const Status status = store_.Open();
    if (!status.ok()) CheckCode(status, "open");
    if (status.ok() && IsWhole()) return true;
    Heal();
    store_.Close();
    return OpenAgain();
  }

  bool OpenAgain() {
    first_number_ = next_number_ + 1;
    const Status status = store_.Open();
    if (!status.ok()) Fail("open does not heal: " + status.ToString());
    return status.ok();
  }

  void CheckCode(const Status& status, const std::string& what) {
    if (CodeOf(status) != CodeOf(plan_.status)) Fail(what + " answers " + status.ToString());
  }

  // What a running engine shows: exactly what was acknowledged since it was opened, on top of what
  // it found then.
  void CheckRunning(const std::string& when) {
    std::vector<std::pair<CrashOp, Outcome>> history;
    for (const auto& [op, outcome] : store_.History()) {
      const bool is_older = op.number < first_number_;
      if (outcome == Outcome::kDone || is_older) history.emplace_back(op, outcome);
    }
    const auto state = Observe(*store_.engine());
    if (!state.ok()) return Fail(when + ", reading: " + state.status().ToString());
    const std::string complaint = Complaint(history, *state);
    if (!complaint.empty()) Fail(when + ", running: " + complaint);
  }

  void CheckCrashes(const std::string& when) {
    for (uint64_t seed = 1; seed <= 2 && !failed(); ++seed) {
      const std::string complaint =
          CheckDisk(sim_.Crash(seed * 77 + plan_.at).get(), store_.History(), false);
      if (!complaint.empty())
        Fail(when + ", power off, seed " + std::to_string(seed) + ": " + complaint);
    }
  }

  void Perform(CrashOp op) {
    op.number = ++next_number_;
    if (op.kind == Kind::kReopen) first_number_ = op.number;
    const bool was_well = !disk_.fired();
    const Status status = store_.Perform(op);
    if (store_.engine() == nullptr || !IsWhole()) {
      Heal();
      store_.Close();
      if (!OpenAgain()) return;
    }
    if (status.ok()) {
      if (was_well && !disk_.fired() && checks_left_ > 0) {
        --checks_left_;
        CheckRunning("after " + op.Text());
        CheckCrashes("after " + op.Text());
      }
      return;
    }
    CheckCode(status, op.Text());
    CheckRunning("after the error of " + op.Text());
    CheckCrashes("after the error of " + op.Text());
    Heal();
    checks_left_ = 2;
    const bool others_need_it = op.kind == Kind::kCreate;
    if (op.kind == Kind::kReopen || failed() || (!retries_ && !others_need_it)) return;
    // Opened since, it may have been found dropped.
    if (op.kind == Kind::kDrop && !store_.engine()->GetTable(op.table).ok()) return;
    op.number = ++next_number_;
    const Status again = store_.Perform(op);
    if (!again.ok()) return Fail(op.Text() + " does not heal: " + again.ToString());
    CheckRunning("after healing");
    CheckCrashes("after healing");
  }

  const FaultPlan plan_;
  const bool retries_;
  SimFileSystem sim_;
  FaultFileSystem disk_;
  CrashStore store_;
  int next_number_ = 0;
  int first_number_ = 0;  // of the first operation since the store was opened
  bool has_fired_ = false;
  int checks_left_ = 0;
  std::string complaint_;
};

void RunForEveryCall(FaultPlan plan) {
  const QuietErrors quiet;
  for (uint64_t n = 1;; ++n) {
    plan.at = n;
    if (plan.append_prefix_bytes >= 0)
      plan.append_prefix_bytes = static_cast<int64_t>(n * 37 % 900);
    bool fired = false;
    for (const bool retries : {false, true}) {
      FaultRun run(plan, retries);
      fired = run.Run();
      EXPECT_EQ(run.complaint(), "") << "call " << n << (retries ? ", tried again" : "");
    }
    if (fired) continue;
    EXPECT_GT(n, 100u);
    return;
  }
}

TEST(EngineFault, OutlivesTheFailureOfAnyOneCall) {
  RunForEveryCall({.effect = FaultEffect::kFail});
}

TEST(EngineFault, OutlivesACallThatSucceedsAndReportsAnError) {
  RunForEveryCall({.effect = FaultEffect::kFailAfter});
}

TEST(EngineFault, OutlivesADiskThatIsFullFromACallOn) {
  RunForEveryCall({.kinds = {IoCall::kCreate, IoCall::kAppend, IoCall::kSync, IoCall::kRename,
                             IoCall::kMakeFolder},
                   .from_then_on = true,
                   .status = StorageFull("injected: No space left on device"),
                   .append_prefix_bytes = 0});
}

TEST(EngineFault, OutlivesADiskThatFailsFromACallOn) { RunForEveryCall({.from_then_on = true}); }

// The writer's lock is taken by the first write; a disk that fails right then must not leave an
// engine behind that holds the lock and still refuses to write.
TEST(EngineFault, BecomesAWriterAtTheNextWriteWhenTheFirstCouldNot) {
  SimFileSystem sim;
  {
    CrashStore store(&sim, false);
    ASSERT_TRUE(store.Open().ok());
    ASSERT_TRUE(store.Perform({.kind = Kind::kCreate, .table = "a"}).ok());
  }
  FaultFileSystem disk(&sim);
  EngineOptions options = CrashOptions(&disk, false);
  options.mode = OpenMode::kAppend;
  const auto engine = Engine::Open(options).ValueOrDie();
  disk.SetPlan({.at = 1, .kinds = {IoCall::kList}});
  EXPECT_FALSE(engine->Flush("a").ok());
  EXPECT_TRUE(engine->Flush("a").ok());
  EXPECT_TRUE(engine->DropTable("a").ok());
}

}  // namespace
}  // namespace fletching::engine
