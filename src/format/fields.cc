#include "format/fields.h"

#include <cstddef>
#include <type_traits>

#include "format/log_layout.h"
#include "format/manifest.h"
#include "format/remote_root.h"
#include "format/segment_layout.h"

namespace fletching::format {
namespace {

template <typename T>
std::string TypeText() {
  if constexpr (std::is_array_v<T>) {
    return TypeText<std::remove_extent_t<T>>() + "[" + std::to_string(std::extent_v<T>) + "]";
  } else {
    return (std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(T));
  }
}

#define FIELD(Struct, field)                                                                    \
  Field {                                                                                       \
    #field, TypeText<decltype(Struct::field)>(), offsetof(Struct, field), sizeof(Struct::field) \
  }

}  // namespace

const std::map<std::string, std::vector<Field>>& Structs() {
  static const std::map<std::string, std::vector<Field>> structs = {
      {"RemoteRootHeader",
       {FIELD(RemoteRootHeader, magic), FIELD(RemoteRootHeader, version),
        FIELD(RemoteRootHeader, header_bytes), FIELD(RemoteRootHeader, payload_bytes),
        FIELD(RemoteRootHeader, payload_checksum), FIELD(RemoteRootHeader, checksum)}},
      {"ManifestHeader",
       {FIELD(ManifestHeader, magic), FIELD(ManifestHeader, version),
        FIELD(ManifestHeader, header_bytes), FIELD(ManifestHeader, payload_bytes),
        FIELD(ManifestHeader, payload_checksum), FIELD(ManifestHeader, checksum)}},
      {"SegmentHeader",
       {FIELD(SegmentHeader, magic), FIELD(SegmentHeader, version),
        FIELD(SegmentHeader, header_bytes)}},
      {"IndexBucket",
       {FIELD(IndexBucket, tags), FIELD(IndexBucket, used), FIELD(IndexBucket, overflowed),
        FIELD(IndexBucket, zero), FIELD(IndexBucket, rows)}},
      {"ColumnEntry",
       {FIELD(ColumnEntry, column_id), FIELD(ColumnEntry, encoding),
        FIELD(ColumnEntry, is_variable), FIELD(ColumnEntry, zero), FIELD(ColumnEntry, width),
        FIELD(ColumnEntry, null_bit), FIELD(ColumnEntry, slot_offset),
        FIELD(ColumnEntry, var_index), FIELD(ColumnEntry, data_offset),
        FIELD(ColumnEntry, data_bytes), FIELD(ColumnEntry, value_count),
        FIELD(ColumnEntry, range_shift), FIELD(ColumnEntry, name_bytes),
        FIELD(ColumnEntry, type_bytes), FIELD(ColumnEntry, range_count)}},
      {"SegmentFooter",
       {FIELD(SegmentFooter, row_offset),       FIELD(SegmentFooter, row_bytes),
        FIELD(SegmentFooter, row_count),        FIELD(SegmentFooter, dead_offset),
        FIELD(SegmentFooter, dead_count),       FIELD(SegmentFooter, tombstone_count),
        FIELD(SegmentFooter, index_offset),     FIELD(SegmentFooter, home_bucket_count),
        FIELD(SegmentFooter, bucket_count),     FIELD(SegmentFooter, columns_offset),
        FIELD(SegmentFooter, columns_bytes),    FIELD(SegmentFooter, blocks_offset),
        FIELD(SegmentFooter, block_count),      FIELD(SegmentFooter, hash_seed),
        FIELD(SegmentFooter, row_unit_bytes),   FIELD(SegmentFooter, key_width),
        FIELD(SegmentFooter, bits_bytes),       FIELD(SegmentFooter, fixed_bytes),
        FIELD(SegmentFooter, var_count),        FIELD(SegmentFooter, time_offset),
        FIELD(SegmentFooter, column_count),     FIELD(SegmentFooter, version),
        FIELD(SegmentFooter, columns_checksum), FIELD(SegmentFooter, blocks_checksum),
        FIELD(SegmentFooter, checksum),         FIELD(SegmentFooter, magic)}},
      {"LogHeader",
       {FIELD(LogHeader, magic), FIELD(LogHeader, version), FIELD(LogHeader, header_bytes),
        FIELD(LogHeader, log_number), FIELD(LogHeader, previous_log_number),
        FIELD(LogHeader, previous_valid_bytes), FIELD(LogHeader, salt),
        FIELD(LogHeader, checksum)}},
      {"FrameHeader",
       {FIELD(FrameHeader, magic), FIELD(FrameHeader, salt), FIELD(FrameHeader, frame_number),
        FIELD(FrameHeader, payload_bytes), FIELD(FrameHeader, payload_checksum),
        FIELD(FrameHeader, checksum)}},
      {"RecordHeader",
       {FIELD(RecordHeader, kind), FIELD(RecordHeader, zero), FIELD(RecordHeader, commit),
        FIELD(RecordHeader, commit_time_us), FIELD(RecordHeader, row_count),
        FIELD(RecordHeader, payload_bytes)}},
      {"RowPrefix",
       {FIELD(RowPrefix, commit), FIELD(RowPrefix, previous), FIELD(RowPrefix, row_bytes)}}};
  return structs;
}

}  // namespace fletching::format
