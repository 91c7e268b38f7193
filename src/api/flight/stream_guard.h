// Incoming streams of this door are decoded as bodies of the other one are: by ingest, within its
// limits.
//
// Arrow's Flight server opens the streams that clients send by itself, with Arrow's plain reader,
// and offers no way to give it limits: a small compressed batch, or a schema that names one long
// text a thousand times, would take all memory. The one call by which it does so is
// RecordBatchStreamReader::Open of libarrow; stream_guard.cc defines that function in our program,
// where the dynamic linker looks first. Calls from elsewhere go on to libarrow's.
#pragma once

#include <cstdint>

#include "api/decode_budget.h"

namespace fletching::flight {

struct StreamLimits {
  int64_t batch_bytes_max = 0;  // as it is sent, and once more for what it unfolds to
  // Shared by all streams; a share is held from when a batch has come until the next one is asked
  // for, never while waiting for a client.
  api::DecodeBudget* decode_budget = nullptr;
};

// Streams that this thread opens from now on obey `limits`; null: they are not ours.
// Lifetime: `limits` outlives the streams.
void GuardStreamsOfThisThread(const StreamLimits* limits);

// False when the program was linked in a way that leaves Flight with libarrow's own function.
bool StreamGuardIsLinked();

}  // namespace fletching::flight
