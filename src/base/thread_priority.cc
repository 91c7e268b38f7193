#include "base/thread_priority.h"

#include <sched.h>

namespace fletching {
namespace {

// Set by RunInBackground, so that boosts on other threads cost no system call.
thread_local bool is_background = false;
thread_local int boost_depth = 0;

void SetPolicy(int policy) {
  const sched_param none{};
  (void)sched_setscheduler(0, policy, &none);  // refused in some containers: then all run alike
}

}  // namespace

void RunInBackground() {
  is_background = true;
  SetPolicy(SCHED_IDLE);
}

PriorityBoost::PriorityBoost() : is_boosted_(is_background) {
  if (is_boosted_ && boost_depth++ == 0) SetPolicy(SCHED_OTHER);
}

PriorityBoost::~PriorityBoost() {
  if (is_boosted_ && --boost_depth == 0) SetPolicy(SCHED_IDLE);
}

}  // namespace fletching
