// The bytes of a log file: what was acknowledged since the last manifest. One per table and
// checkpoint; appended under one fdatasync per group of writes. Opens no file.
//
//   LogHeader | frame | frame | ...          every frame starts at a multiple of 8
//   frame  = FrameHeader | record | record | ...
//   record = RecordHeader | payload, padded to 8
//
// A frame is written only after the one before it was synced. So a bad frame with nothing valid
// behind it is the torn end of a crash and is dropped; a bad frame with a later valid frame behind
// it is damage, and an error. The next log's header says how many bytes of this one counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fletching::format {

inline constexpr uint64_t kLogMagic = 0x1a0a0d474f4c4c46;    // "FLLOG" CR LF 0x1a
inline constexpr uint64_t kFrameMagic = 0x454d415246474f4c;  // "LOGFRAME"
inline constexpr uint32_t kLogVersion = 1;

struct LogHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t log_number;
  uint64_t previous_log_number;   // 0 = none that counts
  uint64_t previous_valid_bytes;  // of that log; its last frame ends here
  uint64_t salt;                  // random; every frame repeats it
  uint64_t checksum;              // of this struct up to here
};
static_assert(sizeof(LogHeader) == 56 && offsetof(LogHeader, checksum) == 48);

struct FrameHeader {
  uint64_t magic;
  uint64_t salt;
  uint64_t frame_number;   // 0, 1, 2 ... within the log
  uint64_t payload_bytes;  // of the records
  uint64_t payload_checksum;
  uint64_t checksum;  // of this struct up to here
};
static_assert(sizeof(FrameHeader) == 48 && offsetof(FrameHeader, checksum) == 40);

enum class RecordKind : uint32_t {
  kRows = 1,      // RowPrefix + row, each padded to 8, in the layout of the manifest's schema
  kSegments = 2,  // u64 segment numbers: a large batch that became segment files of its own
};

struct RecordHeader {
  uint32_t kind;
  uint32_t zero;
  uint64_t commit;
  int64_t commit_time_us;
  uint64_t row_count;
  uint64_t payload_bytes;
};
static_assert(sizeof(RecordHeader) == 40);

// In front of each row in a log record and in memory.
struct RowPrefix {
  uint64_t commit;
  uint32_t previous;   // in memory: older row of the same key, 0 = none; in files 0
  uint32_t row_bytes;  // of the row that follows, without padding
};
static_assert(sizeof(RowPrefix) == 16);
static_assert(std::has_unique_object_representations_v<LogHeader>);
static_assert(std::has_unique_object_representations_v<FrameHeader>);
static_assert(std::has_unique_object_representations_v<RecordHeader>);

}  // namespace fletching::format
