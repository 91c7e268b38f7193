// Memory for what is needed once and not soon: pages of a file without a name, which the kernel may
// write out and take away where private memory would stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fletching::io {

// Threads: one at a time. Lifetime: what was allocated goes with the object, and with the process.
class ScratchMemory {
 public:
  // On the file system of `folder`; nullptr where it cannot be had (not every one has O_TMPFILE).
  static std::unique_ptr<ScratchMemory> Make(const std::string& folder);
  ~ScratchMemory();
  ScratchMemory(const ScratchMemory&) = delete;
  ScratchMemory& operator=(const ScratchMemory&) = delete;

  // Aligned to 16 bytes; nullptr when the disk is full, or for more than kRegionBytes.
  uint8_t* Allocate(size_t bytes);

  static constexpr size_t kRegionBytes = size_t{4} << 20;

 private:
  explicit ScratchMemory(int descriptor) : descriptor_(descriptor) {}
  bool AddRegion();

  const int descriptor_;
  std::vector<uint8_t*> regions_;
  size_t used_bytes_ = kRegionBytes;  // of the last region
};

}  // namespace fletching::io
