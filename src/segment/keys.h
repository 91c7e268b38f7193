// The keys of one request or batch as bytes, ready to hash and compare. Stage: parse / locate.
//
// One key column of fixed width: its value bytes. One utf8 or binary column: its bytes, taken from
// the Arrow array without a copy. Several columns: in key order, fixed widths as they are, utf8 and
// binary with a u32 length in front, so no two different keys have equal bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/request.h"
#include "fletching/schema.h"
#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::segment {

struct KeyBatch {
  int64_t count = 0;
  const uint8_t* bytes = nullptr;
  const int32_t* offsets = nullptr;  // [count + 1], or null: every key has `width` bytes
  int32_t width = -1;                // -1 with offsets
  std::vector<std::shared_ptr<void>> owners;

  const uint8_t* Data(int64_t i) const {
    return offsets != nullptr ? bytes + offsets[i] : bytes + i * width;
  }
  uint32_t Size(int64_t i) const {
    return offsets != nullptr ? static_cast<uint32_t>(offsets[i + 1] - offsets[i])
                              : static_cast<uint32_t>(width);
  }
};

// Bytes of every key of these types, or -1 when they vary.
int32_t KeyWidth(const TableSchema& schema);

// `columns` have exactly the key types, equal lengths and no nulls.
// Errors: kInvalidArgument for a key above 65,535 bytes, kTooLarge above 2 GiB of keys.
Result<KeyBatch> EncodeKeys(const KeyArrays& columns);

// XXH3-64 of each key with `seed`. Shape: hashes_out[count].
void HashKeys(const KeyBatch& keys, uint64_t seed, uint64_t* hashes_out);
uint64_t HashKey(ByteSpan key, uint64_t seed);

// Which of `count` partitions a key of this hash with seed 0 belongs to. Not the table's own seed:
// its upper bits choose the bucket in a segment's index.
inline uint32_t PartitionOf(uint64_t hash, uint32_t count) {
  return static_cast<uint32_t>((hash >> 32) * count >> 32);
}

// The inverse of EncodeKeys. Errors: kCorruption when the bytes do not add up.
Result<KeyArrays> DecodeKeys(const TableSchema& schema, const std::vector<ByteSpan>& keys);

}  // namespace fletching::segment
