#include "ingest/spooled_body.h"

#include <cstdint>
#include <sys/mman.h>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/file.h"
#include "arrow/io/memory.h"

namespace fletching::ingest {
namespace {

class SpooledBody final : public arrow::io::BufferReader {
 public:
  SpooledBody(std::shared_ptr<arrow::io::MemoryMappedFile> file,
              std::shared_ptr<arrow::Buffer> bytes)
      : BufferReader(bytes), file_(std::move(file)), bytes_(std::move(bytes)) {}

  // DONTNEED on a read-only mapping of a file drops page table entries and loses nothing.
  void ForgetReadPages() const {
    if (bytes_->size() == 0) return;
    auto* start = const_cast<uint8_t*>(bytes_->data());  // madvise takes no const
    (void)madvise(start, static_cast<size_t>(bytes_->size()), MADV_DONTNEED);
  }

 private:
  std::shared_ptr<arrow::io::MemoryMappedFile> file_;
  std::shared_ptr<arrow::Buffer> bytes_;  // the whole mapping, so it starts on a page
};

}  // namespace

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenSpooledBody(const std::string& path) {
  const auto read = arrow::io::FileMode::READ;
  ARROW_ASSIGN_OR_RAISE(auto file, arrow::io::MemoryMappedFile::Open(path, read));
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file->GetSize());
  std::shared_ptr<arrow::Buffer> bytes = std::make_shared<arrow::Buffer>(nullptr, 0);
  if (size > 0) {
    ARROW_ASSIGN_OR_RAISE(bytes, file->ReadAt(0, size));
  }
  return std::make_shared<SpooledBody>(std::move(file), std::move(bytes));
}

void ForgetReadPages(const arrow::io::FileInterface& body) {
  if (const auto* spooled = dynamic_cast<const SpooledBody*>(&body)) spooled->ForgetReadPages();
}

}  // namespace fletching::ingest
