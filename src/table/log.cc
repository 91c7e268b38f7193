#include "table/log.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/checksum.h"
#include "format/file_names.h"
#include "format/log_frames.h"

namespace fletching::table {
namespace {

using format::FrameChecksum;
using format::FrameHeader;
using format::HeaderChecksum;
using format::LogHeader;
using format::RecordHeader;

constexpr uint64_t kReserveBytesMin = uint64_t{64} << 10;
constexpr uint64_t kReserveBytesMax = uint64_t{1} << 20;

template <typename T>
ByteSpan BytesOfStruct(const T& item) {
  return {reinterpret_cast<const uint8_t*>(&item), sizeof(T)};
}

Status VisitRecords(ByteSpan payload, const std::string& path, uint64_t offset,
                    const RecordVisitor& visit) {
  while (!payload.empty()) {
    if (payload.size() < sizeof(RecordHeader)) return Corruption(path, offset, "record is cut");
    const auto header = LoadAs<RecordHeader>(payload.data());
    payload = payload.subspan(sizeof(RecordHeader));
    if (header.payload_bytes > payload.size() || header.payload_bytes % 8 != 0) {
      return Corruption(path, offset, "record is longer than its frame");
    }
    ARROW_RETURN_NOT_OK(
        visit(header, payload.first(header.payload_bytes), offset + sizeof(RecordHeader)));
    payload = payload.subspan(header.payload_bytes);
    offset += sizeof(RecordHeader) + header.payload_bytes;
  }
  return Status::OK();
}

}  // namespace

Result<std::unique_ptr<LogWriter>> LogWriter::Create(io::FileSystem* file_system,
                                                     const std::string& folder, uint64_t log_number,
                                                     uint64_t previous_log_number,
                                                     uint64_t previous_valid_bytes, uint64_t salt,
                                                     bool durable) {
  std::unique_ptr<LogWriter> log(new LogWriter());
  ARROW_ASSIGN_OR_RAISE(log->file_,
                        file_system->Create(folder + "/" + format::LogFileName(log_number)));
  LogHeader header{format::kLogMagic,
                   format::kLogVersion,
                   sizeof(LogHeader),
                   log_number,
                   previous_log_number,
                   previous_valid_bytes,
                   salt,
                   0};
  header.checksum = HeaderChecksum(header);
  ARROW_RETURN_NOT_OK(log->file_->Append(BytesOfStruct(header)));
  if (durable) {
    ARROW_RETURN_NOT_OK(log->file_->Sync());
    ARROW_RETURN_NOT_OK(file_system->SyncFolder(folder));
  }
  log->number_ = log_number;
  log->salt_ = salt;
  log->valid_bytes_ = sizeof(LogHeader);
  log->durable_ = durable;
  return log;
}

// A log that takes more than one group will take more of them. What is reserved grows with the log,
// so that at most about as much again is written in zeros, and a little at a time.
void LogWriter::ReserveFor(uint64_t frame_bytes) {
  if (!durable_ || next_frame_ == 0 || valid_bytes_ + frame_bytes <= reserved_bytes_) return;
  const uint64_t ahead = std::clamp(valid_bytes_, kReserveBytesMin, kReserveBytesMax);
  // A full disk shows at the append itself, if at all.
  const bool is_reserved = file_->Reserve(frame_bytes + ahead).ok();
  reserved_bytes_ = is_reserved ? valid_bytes_ + frame_bytes + ahead : UINT64_MAX;
}

Status LogWriter::Append(const std::vector<LogRecord>& records) {
  FrameHeader frame{format::kFrameMagic, salt_, next_frame_, 0, 0, 0};
  std::vector<ByteSpan> pieces{BytesOfStruct(frame)};
  for (const LogRecord& record : records) {
    pieces.push_back(BytesOfStruct(record.header));
    pieces.push_back(record.payload);
    frame.payload_bytes += sizeof(RecordHeader) + record.payload.size();
  }
  frame.payload_checksum = ChecksumOfPieces(std::span(pieces).subspan(1));
  frame.checksum = FrameChecksum(frame);
  ReserveFor(sizeof(FrameHeader) + frame.payload_bytes);
  ARROW_RETURN_NOT_OK(file_->Append(pieces));
  if (durable_) ARROW_RETURN_NOT_OK(file_->Sync());
  ++next_frame_;
  valid_bytes_ += sizeof(FrameHeader) + frame.payload_bytes;
  return Status::OK();
}

Result<LogHeader> ReadLogHeader(ByteSpan bytes, const std::string& path) {
  if (bytes.size() < sizeof(LogHeader)) return Corruption(path, bytes.size(), "log has no header");
  const auto header = LoadAs<LogHeader>(bytes.data());
  if (header.magic != format::kLogMagic) return Corruption(path, 0, "not a log (wrong magic)");
  if (header.version > format::kLogVersion) {
    return Unsupported(path + ": log version " + std::to_string(header.version) +
                       " was written by a newer Fletching");
  }
  if (header.checksum != HeaderChecksum(header)) {
    return Corruption(path, offsetof(LogHeader, checksum), "log header checksum differs");
  }
  return header;
}

Status ReadFrames(ByteSpan bytes, const std::string& path, const RecordVisitor& visit,
                  LogPosition* position) {
  FrameHeader frame;
  while (position->offset_bytes < bytes.size() &&
         format::IsFrame(bytes, position->offset_bytes, &frame) && frame.salt == position->salt &&
         frame.frame_number == position->next_frame) {
    const uint64_t at = position->offset_bytes + sizeof(FrameHeader);
    ARROW_RETURN_NOT_OK(VisitRecords(bytes.subspan(at, frame.payload_bytes), path, at, visit));
    position->offset_bytes = at + frame.payload_bytes;
    ++position->next_frame;
  }
  return Status::OK();
}

Result<LogImage> ReadLog(ByteSpan bytes, const std::string& path, uint64_t must_be_valid_bytes,
                         const RecordVisitor& visit) {
  LogImage image;
  image.path = path;
  ARROW_ASSIGN_OR_RAISE(image.header, ReadLogHeader(bytes, path));
  if (must_be_valid_bytes > bytes.size()) {
    return Corruption(path, bytes.size(), "log is shorter than the next log says");
  }
  if (must_be_valid_bytes != 0) bytes = bytes.first(must_be_valid_bytes);
  image.end = {image.header.log_number, image.header.salt, 0, sizeof(LogHeader)};
  ARROW_RETURN_NOT_OK(ReadFrames(bytes, path, visit, &image.end));
  image.valid_bytes = image.end.offset_bytes;
  if (image.valid_bytes < bytes.size() &&
      (must_be_valid_bytes != 0 ||
       format::FindLaterFrame(bytes, image.valid_bytes + 8, image.header.salt,
                              image.end.next_frame) != 0)) {
    return Corruption(path, image.valid_bytes,
                      "frame is damaged, and acknowledged writes follow it");
  }
  return image;  // what follows is the torn end of a crash: never acknowledged
}

Result<std::vector<LogLink>> ReadLogChain(io::FileSystem* file_system, const std::string& folder,
                                          std::vector<uint64_t> numbers, uint64_t first_log) {
  std::vector<LogLink> chain;  // newest first
  uint64_t wanted = 0;         // 0 = the newest there is
  while (!numbers.empty() && numbers.back() >= first_log) {
    const uint64_t number = numbers.back();
    numbers.pop_back();
    if (wanted != 0 && number != wanted) continue;
    LogLink link;
    const std::string path = folder + "/" + format::LogFileName(number);
    ARROW_ASSIGN_OR_RAISE(link.file, file_system->Map(path));
    const auto header = ReadLogHeader(link.file->bytes(), path);
    if (!header.ok()) {
      // Never finished being made: nothing in it was acknowledged. With frames in it, it was.
      if (wanted == 0 && CodeOf(header.status()) == ErrorCode::kCorruption &&
          !format::HoldsAnyFrame(link.file->bytes())) {
        continue;
      }
      return header.status();
    }
    link.header = *header;
    if (!chain.empty()) link.must_be_valid_bytes = chain.back().header.previous_valid_bytes;
    chain.push_back(link);
    wanted = link.header.previous_log_number;
    if (wanted < first_log) break;
  }
  if (!chain.empty() && wanted >= first_log && chain.back().header.log_number != wanted) {
    return Corruption(folder + "/" + format::LogFileName(wanted), 0,
                      "a log that holds writes is missing");
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

}  // namespace fletching::table
