// Segments for fuzzing: any bytes become a file whose checksums fit, so that the parser behind them
// is reached. For tests only.
//
//   input   SegmentFooter | body          file   header block | body | block table | footer
//
// The header block and the block table are made here, so an input is small and most of its bytes
// matter.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "format/segment_layout.h"
#include "io/file.h"

namespace fletching::segment {

// Bytes at a page boundary, as a mapping has them, and not one more than they are.
class MemoryFile final : public io::MappedFile {
 public:
  MemoryFile(ByteSpan bytes, std::string path) : path_(std::move(path)), size_(bytes.size()) {
    start_ = static_cast<uint8_t*>(::operator new(std::max<size_t>(size_, 1), kAlignment));
    if (size_ > 0) std::memcpy(start_, bytes.data(), size_);
  }
  ~MemoryFile() override { ::operator delete(start_, kAlignment); }
  ByteSpan bytes() const override { return {start_, size_}; }
  const std::string& path() const override { return path_; }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  const std::string path_;
  const size_t size_;
  uint8_t* start_;
};

inline ByteSpan AsSpan(const format::SegmentFooter& footer) {
  return {reinterpret_cast<const uint8_t*>(&footer), sizeof(footer)};
}

inline std::vector<uint8_t> RepairSegment(ByteSpan input) {
  using format::SegmentFooter;
  SegmentFooter footer{};
  const size_t footer_bytes = std::min(input.size(), sizeof(footer));
  if (footer_bytes > 0) std::memcpy(&footer, input.data(), footer_bytes);
  const ByteSpan body = input.subspan(footer_bytes);
  std::vector<uint8_t> file(format::kBlockBytes);
  StoreAs(file.data(), format::SegmentHeader{format::kSegmentMagic, format::kSegmentVersion,
                                             format::kBlockBytes});
  file.insert(file.end(), body.begin(), body.end());
  file.resize(RoundUp(file.size(), 8));
  footer.magic = format::kSegmentMagic;
  footer.version = format::kSegmentVersion;
  footer.blocks_offset = file.size();
  footer.block_count = (file.size() + format::kBlockBytes - 1) / format::kBlockBytes;
  if (footer.columns_offset <= file.size() &&
      footer.columns_bytes <= file.size() - footer.columns_offset) {
    footer.columns_checksum =
        Checksum(ByteSpan(file).subspan(footer.columns_offset, footer.columns_bytes));
  }
  for (uint64_t block = 0; block < footer.block_count; ++block) {
    const size_t at = block * format::kBlockBytes;
    const size_t bytes = std::min<size_t>(format::kBlockBytes, footer.blocks_offset - at);
    const uint64_t checksum = Checksum(ByteSpan(file).subspan(at, bytes));
    file.resize(file.size() + 8);
    StoreAs(file.data() + file.size() - 8, checksum);
  }
  footer.blocks_checksum = Checksum(ByteSpan(file).subspan(footer.blocks_offset));
  footer.checksum = Checksum(AsSpan(footer).first(offsetof(SegmentFooter, checksum)));
  file.insert(file.end(), AsSpan(footer).begin(), AsSpan(footer).end());
  return file;
}

// The inverse, for seeds; `file` is a good segment. Leaves out the zeros that only align the index.
inline std::vector<uint8_t> CompactSegment(ByteSpan file) {
  auto footer =
      LoadAs<format::SegmentFooter>(file.data() + file.size() - sizeof(format::SegmentFooter));
  uint64_t data_end = footer.index_offset;
  while (data_end > footer.row_offset + footer.row_bytes && file[data_end - 1] == 0) --data_end;
  const uint64_t index_offset = RoundUp(data_end + 8, 64);
  const uint64_t shift = footer.index_offset - std::min(index_offset, footer.index_offset);
  const ByteSpan front =
      file.subspan(format::kBlockBytes, footer.index_offset - shift - format::kBlockBytes);
  const ByteSpan back =
      file.subspan(footer.index_offset, footer.blocks_offset - footer.index_offset);
  footer.index_offset -= shift;
  footer.dead_offset -= shift;
  footer.columns_offset -= shift;
  std::vector<uint8_t> input(AsSpan(footer).begin(), AsSpan(footer).end());
  input.insert(input.end(), front.begin(), front.end());
  input.insert(input.end(), back.begin(), back.end());
  return input;
}

}  // namespace fletching::segment
