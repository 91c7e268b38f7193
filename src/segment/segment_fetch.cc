// Partial segments: which blocks are missing, and bringing them in few pieces.
#include <algorithm>

#include "base/checksum.h"
#include "segment/segment_reader.h"

namespace fletching::segment {
namespace {

using format::kBlockBytes;
using format::SegmentFooter;
using io::FileRange;

static_assert(io::MappedFile::kPieceBytes == kBlockBytes);

// Blocks between two that are missing come with them when there are at most this many: 32 KiB take
// less time than another request.
constexpr uint64_t kGapBlocksMax = 8;
// Holds the column table, and the block table of a segment of 30 MiB.
constexpr uint64_t kFirstTailBytes = 64 * 1024;

Status AcceptAny(uint64_t, ByteSpan) { return Status::OK(); }

}  // namespace

// What opening looks at: the header, and all from the column table on. It is checked by what opens.
Status SegmentReader::FetchEnds(const io::MappedFile& file, bool again) {
  const uint64_t size = file.bytes().size();
  if (size < kBlockBytes + sizeof(SegmentFooter)) return Status::OK();  // refused right after
  const FileRange head{0, kBlockBytes};
  const uint64_t tail_at = (size - std::min(size, kFirstTailBytes)) / kBlockBytes * kBlockBytes;
  const FileRange tail{tail_at, size - tail_at};
  std::vector<FileRange> wanted;
  for (const FileRange& range : {head, tail}) {
    if (again || !file.IsHere(range)) wanted.push_back(range);
  }
  if (!wanted.empty()) ARROW_RETURN_NOT_OK(file.Fetch(wanted, AcceptAny));
  const auto footer = LoadAs<SegmentFooter>(file.bytes().data() + size - sizeof(SegmentFooter));
  const ByteSpan checked = file.bytes().subspan(size - sizeof(SegmentFooter));
  const bool is_sound =
      footer.magic == format::kSegmentMagic &&
      footer.checksum == Checksum(checked.first(offsetof(SegmentFooter, checksum)));
  if (!is_sound || footer.columns_offset >= tail_at) return Status::OK();
  const uint64_t rest_at = footer.columns_offset / kBlockBytes * kBlockBytes;
  const FileRange rest{rest_at, tail_at - rest_at};
  if (!again && file.IsHere(rest)) return Status::OK();
  return file.Fetch(std::span(&rest, 1), AcceptAny);
}

bool SegmentReader::AddUnverified(uint64_t offset, uint64_t bytes,
                                  std::vector<uint64_t>* blocks) const {
  const size_t before = blocks->size();
  const uint64_t last = (offset + bytes - 1) / kBlockBytes;
  for (uint64_t block = offset / kBlockBytes; block <= last; ++block) {
    if (!IsVerified(block)) blocks->push_back(block);
  }
  return blocks->size() > before;
}

Result<bool> SegmentReader::FetchBlocks(std::vector<uint64_t>* blocks) const {
  std::sort(blocks->begin(), blocks->end());
  blocks->erase(std::unique(blocks->begin(), blocks->end()), blocks->end());
  std::erase_if(*blocks, [&](uint64_t block) { return CheckBlock(block); });
  if (blocks->empty()) return true;
  std::vector<FileRange> ranges;
  for (const uint64_t block : *blocks) {
    const uint64_t offset = block * kBlockBytes;
    const uint64_t end = std::min<uint64_t>(offset + kBlockBytes, bytes_.size());
    if (!ranges.empty()) {
      FileRange& last = ranges.back();
      if (offset - (last.offset_bytes + last.size_bytes) <= kGapBlocksMax * kBlockBytes) {
        last.size_bytes = end - last.offset_bytes;
        continue;
      }
    }
    ranges.push_back({offset, end - offset});
  }
  const auto accept = [&](uint64_t offset, ByteSpan bytes) -> Status {
    for (uint64_t at = 0; at < bytes.size(); at += kBlockBytes) {
      const uint64_t block = (offset + at) / kBlockBytes;
      if (block >= footer_.block_count) break;
      const ByteSpan whole = bytes.subspan(at, BlockBytes(block).size());
      if (!FitsChecksum(block, whole)) {
        return Corruption(file_->path(), offset + at, "block checksum differs where it came from");
      }
    }
    return Status::OK();
  };
  ARROW_RETURN_NOT_OK(file_->Fetch(ranges, accept));
  for (const uint64_t block : *blocks) {
    if (CheckBlock(block)) continue;
    return Corruption(file_->path(), block * kBlockBytes, "block checksum differs");
  }
  return false;
}

}  // namespace fletching::segment
