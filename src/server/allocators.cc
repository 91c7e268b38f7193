#include "server/allocators.h"

#include <cstdlib>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace fletching::server {

void PrepareAllocators(int64_t memory_budget_bytes) {
  if (memory_budget_bytes == 0) return;
  // Arrow's own pool keeps pages by thread; with readers, a writer and a merge that was as much as
  // the budget once more (docs/decisions/0011-memory-budget.md).
  setenv("ARROW_DEFAULT_MEMORY_POOL", "system", 0);
#if defined(__GLIBC__)
  // By itself glibc takes the first large buffer that is freed, one of a merge, as a reason to keep
  // twice as much at the end of each thread's heap.
  constexpr int kKeptBytesMax = 1 << 20;
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") == nullptr) mallopt(M_MMAP_THRESHOLD, kKeptBytesMax);
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") == nullptr) mallopt(M_TRIM_THRESHOLD, kKeptBytesMax);
#endif
}

}  // namespace fletching::server
