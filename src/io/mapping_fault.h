// A page of a mapped file that cannot be had, because the file was cut short under us or the disk
// failed to read it, is a SIGBUS. While a guard stands over a mapping, such a fault turns the whole
// mapping into zeros and sets its flag, and the read that met it goes on; whoever reads asks the
// flag before it believes what it saw (MappedFile::CheckRead). Reading costs nothing for it.
//
// The first guard of the process installs a handler for SIGBUS, which stays. Faults elsewhere, and
// signals that somebody sent, go to the handler that was there before, or end the process as they
// would have. Who installs a handler later gets our faults too, and is to chain as we do.
//
// Not seen: the rest of the page in which a file now ends. The kernel fills it with zeros and
// raises nothing; segment::SegmentReader looks at the last bytes of its file for that. A system
// call that is given a page that cannot be had fails with EFAULT; nothing is raised. Threads: any;
// the handler takes no lock and allocates nothing, and so it works in a forked child. A thread that
// blocks SIGBUS still ends the process: the kernel asks no handler then.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace fletching::io {

class MappingGuard {
 public:
  // Lifetime: the mapping and the flag outlive the guard; nobody reads the mapping beyond it.
  MappingGuard(const uint8_t* start, size_t bytes, std::atomic<bool>* has_failed);
  ~MappingGuard();
  MappingGuard(const MappingGuard&) = delete;
  MappingGuard& operator=(const MappingGuard&) = delete;

  struct Slot;  // one entry of the table that the handler looks through

 private:
  Slot* const slot_;
};

}  // namespace fletching::io
