#include "base/checksum.h"

// Inlined here and nowhere else, so that no symbol of xxHash leaves this file: the libraries we are
// loaded next to carry copies of their own.
#define XXH_INLINE_ALL
#ifndef NDEBUG
#define XXH_NO_INLINE_HINTS 1  // at -Og the compiler refuses some of what xxHash insists on
#endif
#include <xxhash.h>

namespace fletching {

uint64_t Checksum(ByteSpan bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t Checksum(ByteSpan bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

uint64_t ChecksumOfPieces(std::span<const ByteSpan> pieces) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (const ByteSpan piece : pieces) XXH3_64bits_update(&state, piece.data(), piece.size());
  return XXH3_64bits_digest(&state);
}

}  // namespace fletching
