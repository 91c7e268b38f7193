// Whole reads and writes of a descriptor, which the system may answer in pieces.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::store {

// Errors: kUnavailable naming `path`, also when the file ends before; kStorageFull.
Status ReadFully(int descriptor, const std::string& path, uint64_t offset_bytes,
                 std::span<uint8_t> target);
Status WriteFullyAt(int descriptor, const std::string& path, uint64_t offset_bytes, ByteSpan bytes);
Status WriteFully(int descriptor, const std::string& path, ByteSpan bytes);

inline std::span<uint8_t> AsWritableBytes(std::string* text) {
  return {static_cast<uint8_t*>(static_cast<void*>(text->data())), text->size()};
}
// "." for a name alone.
std::string FolderOf(const std::string& path);

// A descriptor that is closed with its owner.
class OpenFile {
 public:
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

}  // namespace fletching::store
