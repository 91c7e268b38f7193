// A write on its way through the commit queue. Shared by table_write.cc and table_commit.cc.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "table/table.h"

namespace fletching::table {

struct Table::PendingWrite {
  // Rows: prepared against this state; committed only while it is still the table's.
  std::shared_ptr<const TableState> state;
  std::vector<PreparedBatch> batches;
  bool is_patch = false;
  std::vector<uint8_t> rows;  // encoded; patches are encoded under the commit lock
  // Or segments that are already durable files, oldest first.
  std::vector<Source> segments;
  std::vector<uint8_t> segment_numbers;  // their numbers, as the log wants them

  int64_t row_count = 0;
  int64_t time_us = 0;

  // The outcome.
  Status status;
  bool must_retry = false;  // the schema changed in between: prepare again
  uint64_t commit = 0;
};

// Writes that share one frame of the log and one fdatasync. The words are set outside any lock: a
// writer that wakes meets nobody's mutex.
struct Table::WriteGroup {
  std::vector<PendingWrite*> members;   // under queue_mutex_ while it forms
  std::atomic<uint32_t> may_commit{0};  // the leader waits for it: no other group is at it
  std::atomic<uint32_t> is_done{0};     // the others wait for it
};

}  // namespace fletching::table
