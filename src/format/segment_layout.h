// The bytes of a segment file: one sealed batch, or the result of a flush or a compaction.
// Structs only; docs/format.md holds the same tables and a test compares the two. Opens no file.
//
//   header   4 KiB          magic, version, zeros
//   rows     row_bytes      packed rows, row_unit_bytes apart at the least (see below)
//   data                    sparse and constant columns, each 8-byte aligned
//   index    64 B buckets   key hash -> row address
//   dead     u32[dead]      addresses of rows shadowed inside this very segment, ascending
//   columns  ColumnEntry[]  then the bytes of their names and types
//   blocks   u64[]          XXH3-64 of every 4 KiB block of the file in front of this table
//   footer   SegmentFooter  last bytes of the file
//
// A row:
//   key      u16 length + bytes, or just key_width bytes when every key has that width
//   bits     bit 0: tombstone; further bits: nulls of packed columns (1 = null)
//   slots    packed columns at fixed offsets from the first byte of `bits` (the row's body)
//   ends     u32 for each packed variable-length column: its end, counted from the end of `ends`
//   bytes    the variable-length values
// Rows begin at multiples of row_unit_bytes; a row's address is its offset in the row block divided
// by that unit, so 32 bits reach 32 GiB with unit 8 and 256 GiB with unit 64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace fletching::format {

// "FLSEG" + CR LF + 0x1a: a text-mode copy or a truncated one fails at once.
inline constexpr uint64_t kSegmentMagic = 0x1a0a0d4745534c46;
inline constexpr uint32_t kSegmentVersion = 1;
inline constexpr uint32_t kBlockBytes = 4096;  // unit of checksums; one page
inline constexpr uint32_t kBucketSlots = 10;
inline constexpr uint32_t kKeyBytesMax = 65535;  // a length is 16 bits

struct SegmentHeader {
  uint64_t magic;    // kSegmentMagic
  uint32_t version;  // kSegmentVersion
  uint32_t header_bytes;
};
static_assert(sizeof(SegmentHeader) == 16);

// One cache line of the key index. Bucket of a hash: the high 64 bits of hash * home_bucket_count;
// tag: its low 16 bits. A full bucket hands keys on to its right neighbour and says so in
// `overflowed`; spare buckets at the end take what runs over there.
struct IndexBucket {
  uint16_t tags[kBucketSlots];
  uint8_t used;        // slots 0 .. used-1 hold rows
  uint8_t overflowed;  // 1: look in the next bucket too
  uint16_t zero;
  uint32_t rows[kBucketSlots];  // row addresses
};
static_assert(sizeof(IndexBucket) == 64 && offsetof(IndexBucket, rows) == 24);

enum class Encoding : uint8_t {
  kPacked = 1,  // in the row: slot_offset for fixed widths, var_index for the others
  // u32 row addresses, ascending | u32 range starts, range_count + 1 | u32 ends (variable widths) |
  // values. Rows not named are null.
  kSparse = 2,
  kConstant = 3,  // one value for all rows; a null constant is simply an absent column
};

struct ColumnEntry {
  uint32_t column_id;
  uint8_t encoding;
  uint8_t is_variable;  // 1: bytes of any length; 0: `width` bytes
  uint16_t zero;
  uint32_t width;
  uint32_t null_bit;     // kPacked: number of its null bit; 0 = no nulls in this segment
  uint32_t slot_offset;  // kPacked, fixed width: offset from the row's body
  uint32_t var_index;    // kPacked, variable: which of the ends
  uint64_t data_offset;  // kSparse, kConstant: bytes from file start
  uint64_t data_bytes;   // of it
  uint64_t value_count;  // kSparse: rows named; kPacked: rows neither null nor deleted
  uint32_t range_shift;  // kSparse: one range entry per 2^range_shift row addresses
  uint32_t name_bytes;   // in the text part, after the entries
  uint32_t type_bytes;   // its type name follows it there
  uint32_t range_count;  // kSparse: range entries, one more follows with the end
};
static_assert(sizeof(ColumnEntry) == 64);

struct SegmentFooter {
  uint64_t row_offset;
  uint64_t row_bytes;
  uint64_t row_count;  // in the row block, dead ones included
  uint64_t dead_offset;
  uint64_t dead_count;
  uint64_t tombstone_count;
  uint64_t index_offset;
  uint64_t home_bucket_count;
  uint64_t bucket_count;  // home + spare
  uint64_t columns_offset;
  uint64_t columns_bytes;
  uint64_t blocks_offset;
  uint64_t block_count;
  uint64_t hash_seed;
  uint32_t row_unit_bytes;
  int32_t key_width;     // -1: u16 length in front of each key
  uint32_t bits_bytes;   // tombstone and null bits
  uint32_t fixed_bytes;  // of the body: bits, slots and ends
  uint32_t var_count;    // packed variable-length columns
  int32_t time_offset;   // slot of the hidden commit time (i64, us), -1 = none
  uint32_t column_count;
  uint32_t version;
  uint64_t columns_checksum;
  uint64_t blocks_checksum;
  uint64_t checksum;  // of this struct up to here
  uint64_t magic;
};
static_assert(sizeof(SegmentFooter) == 176 && offsetof(SegmentFooter, checksum) == 160);
static_assert(std::has_unique_object_representations_v<SegmentFooter>);
static_assert(std::has_unique_object_representations_v<ColumnEntry>);
static_assert(std::has_unique_object_representations_v<IndexBucket>);

}  // namespace fletching::format
