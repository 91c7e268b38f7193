// Whoever waits for the background thread lends it priority; engine_test.cc has closing.
#include <atomic>
#include <functional>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/thread_priority.h"
#include "io/fault_file_system.h"
#include "table/test_table.h"

namespace fletching::table {
namespace {

void WaitUntil(const std::function<bool()>& is_so) {
  while (!is_so()) std::this_thread::yield();
}

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()}};
  schema.key = {"id"};
  return schema;
}

class Lending : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BackgroundThread::CanLend()) GTEST_SKIP() << "threads may not leave SCHED_IDLE here";
  }
  Status WriteRows(int64_t first, int64_t count) {
    Ints ids;
    for (int64_t i = 0; i < count; ++i) ids.push_back(first + i);
    return table_
        .Write({ArrayOf(arrow::int64(), ids), ArrayOf(arrow::int32(), Ints(ids.size(), 1))})
        .status();
  }

  // Holds a background round in the middle of a compaction, at idle priority, until `caller` has
  // made it run as any other thread.
  void ExpectLends(const std::function<Status()>& caller) {
    for (int64_t i = 0; i < 2; ++i) ASSERT_TRUE(WriteRows(i * 1000, 40'000).ok());
    std::atomic<pid_t> background_id{0};
    std::atomic<bool> may_go{false};
    disk_.SetObserver([&](const io::IoRecord& record) {
      if (BackgroundThread::Current() == nullptr || record.call != io::IoCall::kCreate) return;
      if (background_id != 0 || sched_getscheduler(0) != SCHED_IDLE) return;
      background_id = gettid();
      WaitUntil([&] { return may_go.load(); });
    });
    Status maintained;
    int policy_after = -1;
    std::thread background([&] {
      BackgroundThread priority;
      maintained = table_->Maintain();
      policy_after = sched_getscheduler(0);
    });
    WaitUntil([&] { return background_id != 0; });
    Status called;
    std::thread waiter([&] { called = caller(); });
    WaitUntil([&] { return sched_getscheduler(background_id) == SCHED_OTHER; });
    may_go = true;
    waiter.join();
    background.join();
    EXPECT_TRUE(maintained.ok()) << maintained;
    EXPECT_TRUE(called.ok()) << called;
    EXPECT_EQ(policy_after, SCHED_IDLE);
  }

  io::SimFileSystem sim_;
  io::FaultFileSystem disk_{&sim_};
  TestTable table_{&disk_, Numbers(), 100'000};
};

TEST_F(Lending, ByFlush) {
  ExpectLends([&] { return table_->Flush(); });
}

TEST_F(Lending, ByCompact) {
  ExpectLends([&] { return table_->Compact(); });
}

TEST_F(Lending, ByAddColumn) {
  ExpectLends([&] { return table_->AddColumn({.name = "more", .type = arrow::int32()}); });
}

TEST_F(Lending, ByWidenColumn) {
  ExpectLends([&] { return table_->WidenColumn("value", arrow::int64()); });
}

TEST_F(Lending, ByAWriterWhenTooManyMemoryTablesWait) {
  table_.context.memtable_bytes_max = 1;
  ASSERT_TRUE(table_.Open().ok());
  ExpectLends([&] {
    for (int64_t i = 0; i < 100; ++i) ARROW_RETURN_NOT_OK(WriteRows(i * 1000, 1000));
    return Status::OK();
  });
}

}  // namespace
}  // namespace fletching::table
