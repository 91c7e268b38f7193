// Background threads run when nobody else wants the core, except while others wait for them.
//
// Linux lets a thread leave SCHED_IDLE only with CAP_SYS_NICE or a RLIMIT_NICE that admits its nice
// value, which ordinary processes lack. A thread that could not come back never goes there, for
// whoever waited for it would wait for an idle moment of the machine: it runs at a nice value of 10
// for good, a tenth of what others get, and loans change nothing.
#pragma once

#include <atomic>
#include <sys/types.h>

namespace fletching {

// Makes the calling thread a background one while this lives (SCHED_IDLE). Best effort.
// Threads: made and destroyed by the thread it stands for, one for each at most.
class BackgroundThread {
 public:
  BackgroundThread();
  ~BackgroundThread();
  BackgroundThread(const BackgroundThread&) = delete;
  BackgroundThread& operator=(const BackgroundThread&) = delete;

  // The calling thread's; nullptr for other threads.
  static BackgroundThread* Current();
  // Whether background threads of this process go to SCHED_IDLE, and can come back.
  static bool CanLend();

  // The thread runs like any other until all loans are taken back. Threads: any may lend, while
  // this lives; who lends sees to it that its loan is not taken back meanwhile.
  void Lend();
  void TakeBack();  // by the thread itself

 private:
  pid_t thread_id_ = 0;  // 0: loans change nothing
  std::atomic<int> loan_count_{0};
};

// A loan of a background thread to itself: taken around locks that foreground threads wait for. No
// effect on other threads. Threads: stays on the one that made it.
class PriorityBoost {
 public:
  PriorityBoost() : boosted_(BackgroundThread::Current()) {
    if (boosted_ != nullptr) boosted_->Lend();
  }
  ~PriorityBoost() {
    if (boosted_ != nullptr) boosted_->TakeBack();
  }
  PriorityBoost(const PriorityBoost&) = delete;
  PriorityBoost& operator=(const PriorityBoost&) = delete;

 private:
  BackgroundThread* const boosted_;
};

}  // namespace fletching
