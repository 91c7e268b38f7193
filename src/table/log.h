// The log file of a table: append a group of writes under one sync, and read it back after a crash.
// log_layout.h draws the bytes. Does not know what is in the rows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "format/log_layout.h"
#include "io/file.h"

namespace fletching::table {

// One record to be: its header, and its payload (a multiple of 8 bytes).
struct LogRecord {
  format::RecordHeader header;
  ByteSpan payload;
};

// Threads: one at a time.
class LogWriter {
 public:
  // Creates the file durably: on return it is there after a power loss, header and name.
  static Result<std::unique_ptr<LogWriter>> Create(io::FileSystem* file_system,
                                                   const std::string& folder, uint64_t log_number,
                                                   uint64_t previous_log_number,
                                                   uint64_t previous_valid_bytes, uint64_t salt,
                                                   bool durable);

  // On OK all records are durable. After an error the file must be abandoned: what it holds behind
  // valid_bytes() is unknown.
  Status Append(const std::vector<LogRecord>& records);

  uint64_t number() const { return number_; }
  uint64_t valid_bytes() const { return valid_bytes_; }

 private:
  LogWriter() = default;
  void ReserveFor(uint64_t frame_bytes);

  std::unique_ptr<io::AppendFile> file_;
  uint64_t number_ = 0;
  uint64_t salt_ = 0;
  uint64_t next_frame_ = 0;
  uint64_t valid_bytes_ = 0;
  uint64_t reserved_bytes_ = 0;  // the file is at least this long
  bool durable_ = true;
};

// Where a reader of a log has come to.
struct LogPosition {
  uint64_t log_number = 0;
  uint64_t salt = 0;
  uint64_t next_frame = 0;
  uint64_t offset_bytes = 0;
};

// A log as it was found.
struct LogImage {
  std::string path;
  format::LogHeader header{};
  uint64_t valid_bytes = 0;  // up to the end of the last good frame
  LogPosition end;           // there
};

using RecordVisitor =
    std::function<Status(const format::RecordHeader& header, ByteSpan payload, uint64_t offset)>;

// Reads header and frames and calls `visit` for each record in order.
// must_be_valid_bytes: end that a later log vouches for, or 0 when this is the last log and its
// torn tail may be dropped.
// Errors: kCorruption when bytes that were acknowledged are damaged; those of `visit`.
Result<LogImage> ReadLog(ByteSpan bytes, const std::string& path, uint64_t must_be_valid_bytes,
                         const RecordVisitor& visit);

// As ReadLog, from a position on, to the last whole frame of those in order; moves the position
// there. A frame that is just being written is none yet.
Status ReadFrames(ByteSpan bytes, const std::string& path, const RecordVisitor& visit,
                  LogPosition* position);

// Only the header. Errors: kCorruption.
Result<format::LogHeader> ReadLogHeader(ByteSpan bytes, const std::string& path);

// One log of those that hold what no manifest covers.
struct LogLink {
  std::shared_ptr<io::MappedFile> file;
  format::LogHeader header{};
  uint64_t must_be_valid_bytes = 0;  // for ReadLog
};

// The logs from `first_log` on that count, oldest first: the newest one and those it continues.
// Files beside this chain are of attempts that failed.
// numbers: of the log files in `folder`, ascending. Errors: kCorruption, also for a missing link.
Result<std::vector<LogLink>> ReadLogChain(io::FileSystem* file_system, const std::string& folder,
                                          std::vector<uint64_t> numbers, uint64_t first_log);

}  // namespace fletching::table
