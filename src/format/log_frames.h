// Finding frames among the bytes of a log: which are whole, and whether a bad one was acknowledged.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "format/log_layout.h"

namespace fletching::format {

uint64_t HeaderChecksum(const LogHeader& header);
uint64_t FrameChecksum(const FrameHeader& header);

// Whether a whole frame stands at `at`, which is at most the length; *header is what stands there.
bool IsFrame(ByteSpan bytes, uint64_t at, FrameHeader* header);

// Where from `from` on a frame of this log stands with a higher number than `frame_number`, or 0.
// When there is one, the frame of that number had been synced.
uint64_t FindLaterFrame(ByteSpan bytes, uint64_t from, uint64_t salt, uint64_t frame_number);

// Whether any frame with a good checksum stands in these bytes, whatever its log.
bool HoldsAnyFrame(ByteSpan bytes);

}  // namespace fletching::format
