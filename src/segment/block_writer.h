// Appends to a segment file in large pieces and keeps the checksum of every 4 KiB block.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "io/file.h"

namespace fletching::segment {

class BlockWriter {
 public:
  explicit BlockWriter(std::unique_ptr<io::AppendFile> file);

  Status Append(ByteSpan bytes);
  // For producers that append in place: grow `buffer` at its end, then call Pour. The file offset
  // of buffer[i] is buffer_offset_bytes() + i.
  std::vector<uint8_t>* buffer() { return &buffer_; }
  uint64_t buffer_offset_bytes() const { return written_bytes_; }
  Status Pour();
  // Zeros up to the next multiple of `alignment` (a power of two).
  Status AlignTo(uint64_t alignment);
  // Reads back what was appended, also what is not written yet.
  Status ReadAt(uint64_t offset_bytes, std::span<uint8_t> target);

  uint64_t offset_bytes() const { return written_bytes_ + buffer_.size(); }

  // Ends the checksummed part: writes it out and returns the table, last block possibly short.
  Result<std::vector<uint64_t>> FinishBlocks();
  // Appends bytes behind the checksummed part, then syncs and closes.
  Status FinishFile(ByteSpan tail, bool durable);

 private:
  Status WriteOut(size_t bytes);

  std::unique_ptr<io::AppendFile> file_;
  std::vector<uint8_t> buffer_;
  std::vector<uint64_t> checksums_;
  uint64_t written_bytes_ = 0;
};

}  // namespace fletching::segment
