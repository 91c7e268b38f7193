#include "format/log_frames.h"

#include "base/checksum.h"

namespace fletching::format {
namespace {

template <typename T>
ByteSpan BytesOfStruct(const T& item) {
  return {reinterpret_cast<const uint8_t*>(&item), sizeof(T)};
}

}  // namespace

uint64_t HeaderChecksum(const LogHeader& header) {
  return Checksum(BytesOfStruct(header).first(offsetof(LogHeader, checksum)));
}

uint64_t FrameChecksum(const FrameHeader& header) {
  return Checksum(BytesOfStruct(header).first(offsetof(FrameHeader, checksum)));
}

bool IsFrame(ByteSpan bytes, uint64_t at, FrameHeader* header) {
  if (bytes.size() - at < sizeof(FrameHeader)) return false;
  *header = LoadAs<FrameHeader>(bytes.data() + at);
  if (header->magic != kFrameMagic || header->checksum != FrameChecksum(*header)) {
    return false;
  }
  const ByteSpan rest = bytes.subspan(at + sizeof(FrameHeader));
  return header->payload_bytes <= rest.size() &&
         Checksum(rest.first(header->payload_bytes)) == header->payload_checksum;
}

uint64_t FindLaterFrame(ByteSpan bytes, uint64_t from, uint64_t salt, uint64_t frame_number) {
  FrameHeader header;
  for (uint64_t at = RoundUp(from, 8); at + sizeof(FrameHeader) <= bytes.size(); at += 8) {
    if (LoadAs<uint64_t>(bytes.data() + at) != kFrameMagic) continue;
    if (IsFrame(bytes, at, &header) && header.salt == salt && header.frame_number > frame_number) {
      return at;
    }
  }
  return 0;
}

bool HoldsAnyFrame(ByteSpan bytes) {
  FrameHeader header;
  for (uint64_t at = 0; at + sizeof(FrameHeader) <= bytes.size(); at += 8) {
    if (LoadAs<uint64_t>(bytes.data() + at) == kFrameMagic && IsFrame(bytes, at, &header)) {
      return true;
    }
  }
  return false;
}

}  // namespace fletching::format
