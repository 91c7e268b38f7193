// What a publisher or a follower tells of one attempt.
#pragma once

#include <cstdint>
#include <string>

namespace fletching::remote {

struct RemoteEvent {
  bool is_error = false;
  std::string text;         // what failed; empty = nothing
  uint64_t sequence = 0;    // of the root that is known now
  int64_t moved_bytes = 0;  // uploaded or fetched
  int64_t millis = 0;
};

}  // namespace fletching::remote
