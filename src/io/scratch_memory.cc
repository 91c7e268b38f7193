#include "io/scratch_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"

namespace fletching::io {

std::unique_ptr<ScratchMemory> ScratchMemory::Make(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) return nullptr;
  return std::unique_ptr<ScratchMemory>(new ScratchMemory(descriptor));
}

ScratchMemory::~ScratchMemory() {
  for (uint8_t* const region : regions_) ::munmap(region, kRegionBytes);
  ::close(descriptor_);
}

// The disk's space is taken first: a page that found none when it is written would be a SIGBUS.
bool ScratchMemory::AddRegion() {
  const auto offset = static_cast<off_t>(regions_.size() * kRegionBytes);
  if (::posix_fallocate(descriptor_, offset, kRegionBytes) != 0) return false;
  void* const start =
      ::mmap(nullptr, kRegionBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_, offset);
  if (start == MAP_FAILED) return false;
  regions_.push_back(static_cast<uint8_t*>(start));
  used_bytes_ = 0;
  return true;
}

uint8_t* ScratchMemory::Allocate(size_t bytes) {
  constexpr size_t kAlignment = 16;
  const size_t taken_bytes = RoundUp(bytes, kAlignment);
  if (bytes > kRegionBytes) return nullptr;
  if (used_bytes_ + taken_bytes > kRegionBytes && !AddRegion()) return nullptr;
  uint8_t* const start = regions_.back() + used_bytes_;
  used_bytes_ += taken_bytes;
  return start;
}

}  // namespace fletching::io
