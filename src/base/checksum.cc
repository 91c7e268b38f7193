#include "base/checksum.h"

// Inlined here and nowhere else, so that no symbol of xxHash leaves this file: the libraries we are
// loaded next to carry copies of their own.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace fletching {

uint64_t Checksum(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t Checksum(ByteSpan bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace fletching
