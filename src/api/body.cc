#include "api/body.h"

#include <unistd.h>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/memory.h"

#include "ingest/spooled_body.h"

namespace fletching::api {

std::string_view Body::text() const {
  if (memory == nullptr) return {};
  return {reinterpret_cast<const char*>(memory->data()), static_cast<size_t>(size_bytes)};
}

std::shared_ptr<arrow::io::RandomAccessFile> Body::Open() const {
  if (file != nullptr) return file;
  if (memory == nullptr) {
    return std::make_shared<arrow::io::BufferReader>(std::make_shared<arrow::Buffer>(nullptr, 0));
  }
  return std::make_shared<arrow::io::BufferReader>(arrow::SliceBuffer(memory, 0, size_bytes));
}

Result<Body> Body::Loaded() const {
  if (in_memory()) return *this;
  Body loaded;
  loaded.size_bytes = size_bytes;
  ARROW_ASSIGN_OR_RAISE(loaded.memory, file->ReadAt(0, size_bytes));
  if (loaded.memory->size() != size_bytes) {
    return Unavailable("the spooled body ended after " + std::to_string(loaded.memory->size()) +
                       " of " + std::to_string(size_bytes) + " bytes");
  }
  return loaded;
}

Body Body::FromString(std::string text) {
  Body body;
  body.size_bytes = static_cast<int64_t>(text.size());
  body.memory = arrow::Buffer::FromString(std::move(text));
  return body;
}

Result<Body> Body::FromFile(int file_descriptor, int64_t size_bytes) {
  Body body;
  body.size_bytes = size_bytes;
  // A file without a name still has this one, as long as it is open.
  auto opened = ingest::OpenSpooledBody("/proc/self/fd/" + std::to_string(file_descriptor));
  close(file_descriptor);
  ARROW_ASSIGN_OR_RAISE(body.file, std::move(opened));
  return body;
}

}  // namespace fletching::api
