// Who waits for a background thread lends it priority: seen in the thread's scheduling policy.
#include "base/lending_mutex.h"

#include <atomic>
#include <functional>
#include <sched.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace fletching {
namespace {

void WaitUntil(const std::function<bool()>& is_so) {
  while (!is_so()) std::this_thread::yield();
}

class LendingMutexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!BackgroundThread::CanLend()) GTEST_SKIP() << "threads may not leave SCHED_IDLE here";
  }
  LendingMutex mutex_;
};

TEST_F(LendingMutexTest, TheHolderRunsAsAnyOtherWhileSomebodyWaits) {
  std::atomic<pid_t> holder_id{0};
  std::atomic<bool> may_go{false};
  std::atomic<int> policy_with_boost{-1};
  std::atomic<int> policy_after{-1};
  std::thread holder([&] {
    BackgroundThread background;
    mutex_.lock();
    EXPECT_EQ(sched_getscheduler(0), SCHED_IDLE);
    holder_id = gettid();
    WaitUntil([&] { return sched_getscheduler(0) == SCHED_OTHER; });
    {
      const PriorityBoost boost;
      policy_with_boost = sched_getscheduler(0);
    }
    WaitUntil([&] { return may_go.load(); });
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);  // the end of a boost ends no loan
    mutex_.unlock();
    policy_after = sched_getscheduler(0);
  });
  WaitUntil([&] { return holder_id != 0; });
  std::vector<std::thread> waiters;
  for (int i = 0; i < 3; ++i) {
    waiters.emplace_back([&] { const std::lock_guard lock(mutex_); });
  }
  WaitUntil([&] { return policy_with_boost != -1; });
  may_go = true;
  for (std::thread& waiter : waiters) waiter.join();
  holder.join();
  EXPECT_EQ(policy_with_boost, SCHED_OTHER);
  EXPECT_EQ(policy_after, SCHED_IDLE);
}

TEST_F(LendingMutexTest, WhoCameBeforeTheHolderLendsToo) {
  std::atomic<int> wanting_count{0};
  std::atomic<bool> was_idle{false};
  mutex_.lock();
  // A background thread among others in the queue: whenever it gets its turn, it is not idle while
  // others are still waiting behind it.
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    BackgroundThread background;
    for (int i = 0; i < 200; ++i) {
      mutex_.lock();
      if (wanting_count > 0) WaitUntil([&] { return sched_getscheduler(0) == SCHED_OTHER; });
      mutex_.unlock();
      if (sched_getscheduler(0) == SCHED_IDLE) was_idle = true;
    }
  });
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        ++wanting_count;
        mutex_.lock();
        --wanting_count;
        mutex_.unlock();
      }
    });
  }
  mutex_.unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(was_idle);
}

TEST(BackgroundThreadTest, GoesNowhereItCannotComeBackFrom) {
  std::thread([] {
    BackgroundThread background;
    const PriorityBoost boost;
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
    if (!BackgroundThread::CanLend()) {
      EXPECT_GE(getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())), 10);
    }
  }).join();
}

TEST_F(LendingMutexTest, AThreadLeavesTheBackgroundWithItsObject) {
  std::thread([] {
    EXPECT_EQ(BackgroundThread::Current(), nullptr);
    {
      BackgroundThread background;
      EXPECT_EQ(BackgroundThread::Current(), &background);
      EXPECT_EQ(sched_getscheduler(0), SCHED_IDLE);
      const PriorityBoost boost;
      const PriorityBoost inner;
      EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
    }
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
    const PriorityBoost nothing;
    EXPECT_EQ(BackgroundThread::Current(), nullptr);
  }).join();
}

}  // namespace
}  // namespace fletching
