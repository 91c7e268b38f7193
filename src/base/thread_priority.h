// Background threads run when nobody else wants the core, except while others wait for them.
#pragma once

namespace fletching {

// Makes the calling thread one that only runs on idle cores (SCHED_IDLE). Best effort.
void RunInBackground();

// While it lives, a background thread runs like any other: taken around locks that foreground
// threads wait for, or a busy machine would make them wait for an idle moment. No effect on other
// threads. Threads: stays on the one that made it.
class PriorityBoost {
 public:
  PriorityBoost();
  ~PriorityBoost();
  PriorityBoost(const PriorityBoost&) = delete;
  PriorityBoost& operator=(const PriorityBoost&) = delete;

 private:
  bool is_boosted_ = false;
};

}  // namespace fletching
