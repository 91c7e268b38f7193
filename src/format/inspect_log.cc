// A log frame by frame. Declared in format/inspect.h.
#include <algorithm>

#include "format/inspect.h"
#include "format/log_frames.h"
#include "format/log_layout.h"

namespace fletching::format {
namespace {

class LogInspector {
 public:
  explicit LogInspector(Inspection* out) : out_(*out), bytes_(out->bytes()) {}

  void Run() {
    const bool is_good = out_.AddStruct(1, "header", 0, "LogHeader", kLogMagic);
    if (bytes_.size() < sizeof(LogHeader)) return;
    const auto header = LoadAs<LogHeader>(bytes_.data());
    if (header.version > kLogVersion) {
      return out_.Problem(offsetof(LogHeader, version), "written by a newer Fletching");
    }
    if (!is_good) return;
    uint64_t at = sizeof(LogHeader);
    uint64_t number = 0;
    FrameHeader frame;
    while (at < bytes_.size() && IsFrame(bytes_, at, &frame) && frame.salt == header.salt &&
           frame.frame_number == number) {
      if (frame.payload_bytes > bytes_.size() - at - sizeof(FrameHeader)) break;
      const bool is_shown = out_.Shows(number);
      if (is_shown)
        out_.AddStruct(1, "frame " + std::to_string(number), at, "FrameHeader", kFrameMagic);
      at += sizeof(FrameHeader);
      ShowRecords(at, frame.payload_bytes, is_shown);
      at += frame.payload_bytes;
      ++number;
    }
    out_.AddRest(1, number - std::min<uint64_t>(number, CountShown(number)));
    out_.SetSummary(std::to_string(number) + " frames, " + std::to_string(row_count_) + " rows, " +
                    std::to_string(segment_count_) + " segments named");
    if (at < bytes_.size()) ShowEnd(at, header.salt, number);
  }

 private:
  uint64_t CountShown(uint64_t count) const {
    uint64_t shown = 0;
    while (shown < count && out_.Shows(shown)) ++shown;
    return shown;
  }

  void ShowRecords(uint64_t at, uint64_t payload_bytes, bool is_shown) {
    const uint64_t end = at + payload_bytes;
    for (uint64_t i = 0; at < end; ++i) {
      if (end - at < sizeof(RecordHeader)) return out_.Problem(at, "record is cut");
      const auto record = LoadAs<RecordHeader>(&bytes_[at]);
      const bool has_rows = record.kind == static_cast<uint32_t>(RecordKind::kRows);
      const bool has_segments = record.kind == static_cast<uint32_t>(RecordKind::kSegments);
      is_shown = is_shown && out_.Shows(i);
      if (is_shown) {
        out_.AddStruct(2,
                       "record " + std::to_string(i) +
                           (has_rows       ? ", rows"
                            : has_segments ? ", segments"
                                           : ""),
                       at, "RecordHeader");
      }
      at += sizeof(RecordHeader);
      if (record.payload_bytes > end - at || record.payload_bytes % 8 != 0) {
        return out_.Problem(at, "record is longer than its frame");
      }
      if (!has_rows && !has_segments) return out_.Problem(at, "unknown kind of record");
      if (has_rows) ShowRows(at, record.payload_bytes, is_shown);
      if (has_segments) ShowSegments(at, record.payload_bytes, is_shown);
      at += record.payload_bytes;
    }
  }

  void ShowRows(uint64_t at, uint64_t payload_bytes, bool is_shown) {
    const uint64_t end = at + payload_bytes;
    uint64_t count = 0;
    uint64_t hidden_count = 0;
    for (; at < end; ++count) {
      if (end - at < sizeof(RowPrefix)) return out_.Problem(at, "row prefix is cut");
      const auto prefix = LoadAs<RowPrefix>(&bytes_[at]);
      if (prefix.row_bytes > end - at - sizeof(RowPrefix)) return out_.Problem(at, "row is cut");
      if (is_shown && out_.Shows(count)) {
        out_.AddStruct(3, "row " + std::to_string(count), at, "RowPrefix");
      } else {
        ++hidden_count;
      }
      at += RoundUp(sizeof(RowPrefix) + prefix.row_bytes, 8);
    }
    if (is_shown) out_.AddRest(3, hidden_count);
    row_count_ += count;
  }

  void ShowSegments(uint64_t at, uint64_t payload_bytes, bool is_shown) {
    const uint64_t count = payload_bytes / 8;
    segment_count_ += count;
    for (uint64_t i = 0; is_shown && i < count && out_.Shows(i); ++i) {
      out_.Add(3, "segment number", at + i * 8, 8, "u64",
               std::to_string(LoadAs<uint64_t>(&bytes_[at + i * 8])));
    }
    if (is_shown) out_.AddRest(3, count - CountShown(count));
  }

  // What is behind the last good frame.
  void ShowEnd(uint64_t at, uint64_t salt, uint64_t number) {
    const ByteSpan rest = bytes_.subspan(at);
    if (std::all_of(rest.begin(), rest.end(), [](uint8_t byte) { return byte == 0; })) {
      return out_.Add(1, "reserved", at, rest.size(), "", "zeros, for frames to come");
    }
    const uint64_t later = FindLaterFrame(bytes_, at + 8, salt, number);
    out_.AddStruct(1, "frame " + std::to_string(number), at, "FrameHeader");
    if (later == 0) {
      return out_.Add(1, "torn end", at, rest.size(), "",
                      "of a crash: never acknowledged, dropped at the next open");
    }
    out_.Problem(at,
                 "frame is damaged, and a good one follows it at offset " + std::to_string(later));
  }

  Inspection& out_;
  const ByteSpan bytes_;
  uint64_t row_count_ = 0;
  uint64_t segment_count_ = 0;
};

}  // namespace

void InspectLog(Inspection* out) { LogInspector(out).Run(); }

}  // namespace fletching::format
