// The manifest: one small file per version of a table that says which segments it is made of, what
// its schema is and where its log begins. Encoding and decoding only; opens no file.
//
//   ManifestHeader | payload (fields below in this order, little-endian, strings u32 length +
//   bytes)
//
// Written aside, synced, renamed, folder synced: a torn manifest is never seen under its name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fletching/schema.h"
#include "fletching/status.h"

#include "base/bytes.h"

namespace fletching::format {

inline constexpr uint64_t kManifestMagic = 0x1a0a0d4e414d4c46;  // "FLMAN" CR LF 0x1a
// 2 adds generations; tables without them are still written as 1, which older programs read.
inline constexpr uint32_t kManifestVersion = 2;

// Of a manifest and of a remote root.
struct PayloadHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t payload_bytes;
  uint64_t payload_checksum;
  uint64_t checksum;  // of this struct up to here
};
static_assert(sizeof(PayloadHeader) == 40 && offsetof(PayloadHeader, checksum) == 32);
using ManifestHeader = PayloadHeader;

struct ManifestSegment {
  uint64_t number = 0;  // names the file
  uint64_t row_count = 0;
  uint64_t file_bytes = 0;
  // Wall clock of the newest commit in it; decides expiry of tables with ttl and no event time
  // only together with the rows' own times.
  int64_t newest_time_us = 0;
};

// What a table held before it was loaded anew: kept whole, so that a bad load can be taken back.
struct ManifestGeneration {
  std::string name;
  int64_t loaded_time_us = 0;
  uint32_t partition_count = 1;
  TableSchema schema;
  std::vector<ManifestSegment> segments;  // oldest first
};

struct Manifest {
  std::string table_name;
  uint64_t number = 0;        // of this manifest; ascending
  uint64_t commit = 0;        // everything up to this commit is in `segments`
  uint64_t log_number = 0;    // replay starts with this log
  uint64_t next_segment = 1;  // no file with this number or above is named here
  uint32_t next_column_id = 1;
  uint64_t hash_seed = 0;
  TableSchema schema;
  std::vector<ManifestSegment> segments;  // oldest first
  // Of tables that are loaded as a whole; else empty.
  std::string generation;
  int64_t loaded_time_us = 0;
  // Segment i holds the keys whose partition is i (segment/keys.h), when there are as many.
  uint32_t partition_count = 1;
  std::string rejected;  // the generation that was taken back last
  std::optional<ManifestGeneration> previous;

  bool HasGenerations() const {
    return !generation.empty() || !rejected.empty() || previous.has_value();
  }
};

std::vector<uint8_t> EncodeManifest(const Manifest& manifest);

// `file` is only used in errors. Errors: kCorruption naming file and offset; kUnsupported for a
// version newer than ours, saying so.
Result<Manifest> DecodeManifest(ByteSpan bytes, const std::string& file);

// One field of a payload, as it is read.
struct ManifestField {
  std::string name;   // as in docs/format.md; of an item of a list: "columns.id"
  int64_t index;      // of that item; -1 for other fields
  std::string type;   // "u64", "text", ...
  uint64_t offset;    // in the payload
  uint64_t size;      // of a text: with its length
  std::string value;  // in digits, or the text
};
using FieldVisitor = std::function<void(const ManifestField& field)>;

// Visits the fields of a payload one after the other, as far as they can be read. Trusts nothing.
// Errors: as DecodeManifest, for the first thing that makes no sense.
Status VisitManifestPayload(ByteSpan payload, uint32_t version, const std::string& file,
                            const FieldVisitor& visit);

}  // namespace fletching::format
