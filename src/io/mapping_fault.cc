#include "io/mapping_fault.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/file.h"

namespace fletching::io {

// Read by the handler at any moment, so it is told apart from one that is being changed: `turn` is
// odd from before a change until after it. A slot that changes while the handler looks belongs to a
// mapping that nobody reads, so it is never the one looked for.
struct MappingGuard::Slot {
  std::atomic<uint64_t> turn{0};
  std::atomic<uintptr_t> start{0};  // 0: free
  std::atomic<size_t> bytes{0};
  std::atomic<std::atomic<bool>*> has_failed{nullptr};
};

namespace {

using Slot = MappingGuard::Slot;

static_assert(std::atomic<uint64_t>::is_always_lock_free &&
                  std::atomic<std::atomic<bool>*>::is_always_lock_free &&
                  std::atomic<bool>::is_always_lock_free,
              "a signal handler uses them");

// Slots come in blocks that are never freed, since a handler may be looking through them.
struct SlotBlock {
  std::array<Slot, 256> slots;
  std::atomic<SlotBlock*> next{nullptr};
};

SlotBlock first_block;
struct sigaction previous_action;

// Takes a free slot and leaves its turn odd.
Slot* TakeSlot() {
  for (SlotBlock* block = &first_block;;) {
    for (Slot& slot : block->slots) {
      uint64_t turn = slot.turn.load(std::memory_order_relaxed);
      if (turn % 2 != 0 || slot.start.load(std::memory_order_relaxed) != 0) continue;
      if (!slot.turn.compare_exchange_strong(turn, turn + 1, std::memory_order_acquire)) continue;
      if (slot.start.load(std::memory_order_relaxed) == 0) return &slot;
      slot.turn.store(turn + 2, std::memory_order_release);  // taken and filled in between
    }
    SlotBlock* next = block->next.load(std::memory_order_acquire);
    if (next == nullptr) {
      auto* const added = new SlotBlock();
      if (block->next.compare_exchange_strong(next, added, std::memory_order_acq_rel)) {
        next = added;
      } else {
        delete added;
      }
    }
    block = next;
  }
}

struct Mapping {
  uintptr_t start = 0;
  size_t bytes = 0;
  std::atomic<bool>* has_failed = nullptr;
};

// The guarded mapping that holds this address; all null when there is none.
Mapping FindMapping(uintptr_t address) {
  for (const SlotBlock* block = &first_block; block != nullptr;
       block = block->next.load(std::memory_order_acquire)) {
    for (const Slot& slot : block->slots) {
      const uint64_t turn = slot.turn.load(std::memory_order_acquire);
      const Mapping found{slot.start.load(std::memory_order_acquire),
                          slot.bytes.load(std::memory_order_acquire),
                          slot.has_failed.load(std::memory_order_acquire)};
      if (found.start == 0 || turn % 2 != 0) continue;
      if (address < found.start || address - found.start >= found.bytes) continue;
      if (slot.turn.load(std::memory_order_relaxed) == turn) return found;
    }
  }
  return {};
}

// All of it, not the one page: what was read of a file that failed is not believed anyway, this
// way there is one fault and not one a page, and the kernel need not keep track of single pages.
// By its number, since the sanitizers' mmap counts as a write to memory that others read just now.
bool FillWithZeros(const Mapping& mapping) {
  const int error = errno;
  const long answer = ::syscall(SYS_mmap, mapping.start, mapping.bytes, PROT_READ,
                                MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  errno = error;
  return static_cast<uintptr_t>(answer) == mapping.start;
}

// What would have happened without us.
void PassOn(int number, siginfo_t* info, void* context) {
  const bool was_raised_by_kernel = info->si_code > 0;
  if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
    previous_action.sa_sigaction(number, info, context);
  } else if (previous_action.sa_handler == SIG_IGN && !was_raised_by_kernel) {
    return;
  } else if (previous_action.sa_handler == SIG_DFL || previous_action.sa_handler == SIG_IGN) {
    // A fault happens again as soon as we return (and cannot be ignored); a signal sent does not.
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(number, &standard, nullptr);
    if (!was_raised_by_kernel) ::raise(number);
  } else {
    previous_action.sa_handler(number);
  }
}

void OnBusError(int number, siginfo_t* info, void* context) {
  // Other codes carry no address: somebody sent the signal.
  const bool is_fault =
      info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR || info->si_code == BUS_MCEERR_AR;
  if (is_fault) {
    const Mapping mapping = FindMapping(reinterpret_cast<uintptr_t>(info->si_addr));
    if (mapping.has_failed != nullptr) {
      // First the flag: whoever sees zeros is to find it set.
      mapping.has_failed->store(true, std::memory_order_seq_cst);
      if (FillWithZeros(mapping)) return;
    }
  }
  PassOn(number, info, context);
}

bool InstallHandler() {
  // Asked for first: the handler may run as soon as it is there.
  ::sigaction(SIGBUS, nullptr, &previous_action);
  struct sigaction ours = {};
  ours.sa_sigaction = OnBusError;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  ::sigemptyset(&ours.sa_mask);
  return ::sigaction(SIGBUS, &ours, nullptr) == 0;
}

}  // namespace

MappingGuard::MappingGuard(const uint8_t* start, size_t bytes, std::atomic<bool>* has_failed)
    : slot_(TakeSlot()) {
  static const bool is_installed = InstallHandler();
  (void)is_installed;
  slot_->bytes.store(bytes, std::memory_order_release);
  slot_->has_failed.store(has_failed, std::memory_order_release);
  slot_->start.store(reinterpret_cast<uintptr_t>(start), std::memory_order_release);
  slot_->turn.fetch_add(1, std::memory_order_release);
}

MappingGuard::~MappingGuard() {
  slot_->turn.fetch_add(1, std::memory_order_acq_rel);
  slot_->start.store(0, std::memory_order_release);
  slot_->turn.fetch_add(1, std::memory_order_release);
}

Status MappedFile::Fetch(std::span<const FileRange>, const Accept&) const {
  return Status::OK();  // all of it is here
}

Status MappedFile::ReadError() const {
  return Unavailable(path() + " could not be read: the file was cut short or the disk failed");
}

Status ReadThrough(const MappedFile& file) {
  constexpr size_t kPageBytes = 4096;
  const ByteSpan bytes = file.bytes();
  for (size_t at = 0; at < bytes.size(); at += kPageBytes) {
    (void)*static_cast<const volatile uint8_t*>(bytes.data() + at);
  }
  return file.CheckRead();
}

}  // namespace fletching::io
