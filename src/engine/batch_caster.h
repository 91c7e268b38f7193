// The ingest room's casts and checks, as tables want them.
#pragma once

#include "table/prepare.h"

namespace fletching::engine {

// Lifetime: the process. Threads: any.
const table::BatchCaster* IngestCaster();

}  // namespace fletching::engine
