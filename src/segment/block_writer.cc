#include "segment/block_writer.h"

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "format/segment_layout.h"

namespace fletching::segment {
namespace {

// One system call per 8 MiB, at multiples of it: the kernel then fills the page cache with 2 MiB
// folios, which a mapping uses as large pages. Pieces at odd offsets get a fifth of that.
constexpr size_t kPieceBytes = size_t{8} << 20;

}  // namespace

BlockWriter::BlockWriter(std::unique_ptr<io::AppendFile> file) : file_(std::move(file)) {}

Status BlockWriter::WriteOut(size_t bytes) {
  const ByteSpan piece(buffer_.data(), bytes);
  for (size_t at = 0; at < bytes; at += format::kBlockBytes) {
    checksums_.push_back(
        Checksum(piece.subspan(at, std::min<size_t>(format::kBlockBytes, bytes - at))));
  }
  ARROW_RETURN_NOT_OK(file_->Append(piece));
  file_->StartWriteback();
  written_bytes_ += bytes;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(bytes));
  return Status::OK();
}

Status BlockWriter::Append(ByteSpan bytes) {
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  return Pour();
}

Status BlockWriter::Pour() {
  while (buffer_.size() >= kPieceBytes) ARROW_RETURN_NOT_OK(WriteOut(kPieceBytes));
  return Status::OK();
}

Status BlockWriter::AlignTo(uint64_t alignment) {
  buffer_.resize(buffer_.size() + (RoundUp(offset_bytes(), alignment) - offset_bytes()));
  return Status::OK();
}

Status BlockWriter::ReadAt(uint64_t offset_bytes, std::span<uint8_t> target) {
  const uint64_t end = offset_bytes + target.size();
  if (offset_bytes < written_bytes_) {
    const size_t from_file = std::min<uint64_t>(target.size(), written_bytes_ - offset_bytes);
    ARROW_RETURN_NOT_OK(file_->ReadAt(offset_bytes, target.first(from_file)));
    offset_bytes += from_file;
    target = target.subspan(from_file);
  }
  if (target.empty()) return Status::OK();
  if (end > written_bytes_ + buffer_.size()) return Unavailable("read behind the end of a file");
  std::memcpy(target.data(), buffer_.data() + (offset_bytes - written_bytes_), target.size());
  return Status::OK();
}

Result<std::vector<uint64_t>> BlockWriter::FinishBlocks() {
  if (!buffer_.empty()) ARROW_RETURN_NOT_OK(WriteOut(buffer_.size()));
  return std::move(checksums_);
}

Status BlockWriter::FinishFile(ByteSpan tail, bool durable) {
  ARROW_RETURN_NOT_OK(file_->Append(tail));
  if (durable) ARROW_RETURN_NOT_OK(file_->Sync());
  return file_->Close();
}

}  // namespace fletching::segment
