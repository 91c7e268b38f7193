#include "base/thread_priority.h"

#include <sched.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

#include "base/check.h"

namespace fletching {
namespace {

constexpr int kNiceWithoutReturn = 10;

thread_local BackgroundThread* current = nullptr;

bool SetPolicy(pid_t thread_id, int policy) {
  const sched_param none{};
  return sched_setscheduler(thread_id, policy, &none) == 0;
}

}  // namespace

bool BackgroundThread::CanLend() {
  // Tried on a thread that is thrown away, as the rules differ between kernels and containers.
  static const bool can_lend = [] {
    bool came_back = false;
    std::thread([&] { came_back = SetPolicy(0, SCHED_IDLE) && SetPolicy(0, SCHED_OTHER); }).join();
    return came_back;
  }();
  return can_lend;
}

BackgroundThread* BackgroundThread::Current() { return current; }

BackgroundThread::BackgroundThread() {
  FLETCHING_CHECK(current == nullptr);
  current = this;
  const pid_t thread_id = gettid();
  if (CanLend()) {
    thread_id_ = thread_id;
    SetPolicy(thread_id_, SCHED_IDLE);
  } else {
    (void)setpriority(PRIO_PROCESS, static_cast<id_t>(thread_id), kNiceWithoutReturn);
  }
}

BackgroundThread::~BackgroundThread() {
  if (thread_id_ != 0) SetPolicy(thread_id_, SCHED_OTHER);
  current = nullptr;
}

void BackgroundThread::Lend() {
  if (loan_count_.fetch_add(1) == 0 && thread_id_ != 0) SetPolicy(thread_id_, SCHED_OTHER);
}

void BackgroundThread::TakeBack() {
  if (loan_count_.fetch_sub(1) != 1 || thread_id_ == 0) return;
  SetPolicy(thread_id_, SCHED_IDLE);
  // Somebody lent between the two lines above, and our policy may have replaced his.
  if (loan_count_.load() > 0) SetPolicy(thread_id_, SCHED_OTHER);
}

}  // namespace fletching
