// Settings of one engine. A new field needs the workload that wants it and the measurement behind
// its default; anything else is a named constant beside the code that uses it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fletching/status.h"

namespace fletching {

namespace io {
class FileSystem;
class SegmentOpener;
}  // namespace io
class Clock;

// Asked before every change and told after it, by somebody who has a say in whether it counts: a
// remote that has another writer now, or that is to have the change before it is acknowledged.
// Threads: any. Lifetime: outlives the engine.
class WriteGate {
 public:
  virtual ~WriteGate() = default;
  virtual Status BeforeChange() = 0;
  // Of rows that are durable here and visible; an error is the caller's answer all the same.
  virtual Status AfterCommit(std::string_view table, uint64_t version) = 0;
};
class Metrics;

enum class OpenMode : uint8_t {
  kReadOnly,  // "r": maps what a writer publishes; takes no lock
  kAppend,    // "a": reads at once; the writer lock is taken by the first write
  kWrite,     // "w": takes the writer lock at open or fails naming the holder's pid
};

struct EngineOptions {
  std::string data_dir = {};  // created when missing, except in kReadOnly
  OpenMode mode = OpenMode::kWrite;

  // Small writes gather in memory (and in the log) up to this size, then become a segment.
  // 64 MiB: replaying a full log takes about a quarter of a second.
  int64_t memtable_bytes_max = int64_t{64} << 20;
  // A write above this size becomes a segment of its own at once.
  int64_t small_write_bytes_max = int64_t{4} << 20;
  // Memory tables are flushed and neighbouring segments merged in the background. Off only in
  // tests, whose every I/O call then comes in the same order in every run.
  bool background_compaction = true;
  // Memory for rows: the key indexes of segments, rows that are used, and writes of one table that
  // are in no segment yet (memtable_bytes_max is a sixteenth of it at the most); other rows are
  // read from the disk, all of a look-up together. Less than the indexes take is too little, and
  // is exceeded. On top come requests under way, some 20 MB while segments are merged, and what the
  // allocators keep. 0: no limit, all is mapped and the kernel decides.
  // What it costs: docs/performance.md.
  int64_t memory_budget_bytes = 0;

  // In kReadOnly: how often to look what another process has written (Engine::Refresh does it
  // once). 20 ms, so that a write is seen within 100; more where there are so many tables that
  // looking takes more than 2 ms. 0: only when told.
  int64_t follow_interval_ms = 20;
  // false: no fsync at all, to measure what durability costs; never a user's choice.
  bool durable = true;

  // Stand-ins for fault injection and tests; null means the real disk and the real clock.
  // Lifetime: must outlive the engine.
  io::FileSystem* file_system = nullptr;
  Clock* clock = nullptr;
  WriteGate* write_gate = nullptr;  // likewise; null: nobody has a say
  // Opens segments that may be only partly on this disk; null: all are there. Of a kReadOnly
  // engine. Lifetime: likewise.
  io::SegmentOpener* segment_opener = nullptr;

  // Where tables count what they do; null = nobody looks. Lifetime: must outlive the engine.
  Metrics* metrics = nullptr;
};

}  // namespace fletching
