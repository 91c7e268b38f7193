// What the process asks the kernel for, and gives back.
#pragma once

#include <cstdint>

namespace fletching::server {

// Sets the allocators up for a server with a memory budget (0: none, and nothing is set up), so
// that memory which was used once is given back instead of kept for the next time. Settings of the
// environment (ARROW_DEFAULT_MEMORY_POOL, MALLOC_*) come first. Before any thread exists and before
// Arrow allocates anything.
void PrepareAllocators(int64_t memory_budget_bytes);

}  // namespace fletching::server
