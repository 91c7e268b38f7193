// XXH3-64, for checksums and for hashing keys.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace fletching {

// Seed 0. Source: xxHash 0.8, XXH3_64bits.
uint64_t Checksum(ByteSpan bytes);
// Continues from an earlier checksum, so that header and body need not be adjacent: the seed of the
// second is the value of the first.
uint64_t Checksum(ByteSpan bytes, uint64_t seed);
// Of the pieces one after another, as if they were joined.
uint64_t ChecksumOfPieces(std::span<const ByteSpan> pieces);

}  // namespace fletching
