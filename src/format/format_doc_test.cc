// docs/format.md says what the structs say: every byte table under a heading named like a struct is
// compared with its fields.
#include <cstddef>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "format/log_layout.h"
#include "format/manifest.h"
#include "format/segment_layout.h"

namespace fletching::format {
namespace {

struct Field {
  std::string name;
  std::string type;
  size_t offset = 0;
  size_t size = 0;
  bool operator==(const Field&) const = default;
};

void PrintTo(const Field& field, std::ostream* out) {
  *out << "| " << field.offset << " | " << field.size << " | " << field.type << " | " << field.name;
}

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

const std::map<std::string, std::vector<Field>>& Structs() {
  static const std::map<std::string, std::vector<Field>> structs = {
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

// Byte tables of the page, by the heading above them.
std::map<std::string, std::vector<Field>> ReadPage() {
  const std::regex heading(R"(#+ ([A-Za-z]+))");
  const std::regex row(R"(\| (\d+) \| (\d+) \| (\S+) \| (\S+) \|.*)");
  std::map<std::string, std::vector<Field>> tables;
  std::ifstream page(FLETCHING_SOURCE_DIR "/docs/format.md");
  EXPECT_TRUE(page.is_open());
  std::string line;
  std::string above;
  std::smatch match;
  while (std::getline(page, line)) {
    if (std::regex_match(line, match, heading)) above = match[1];
    if (!std::regex_match(line, match, row)) continue;
    tables[above].push_back({.name = match[4],
                             .type = match[3],
                             .offset = std::stoul(match[1]),
                             .size = std::stoul(match[2])});
  }
  return tables;
}

TEST(FormatDoc, HasEveryFieldOfEveryStructAndNoOther) {
  const auto tables = ReadPage();
  for (const auto& [name, fields] : Structs()) {
    ASSERT_TRUE(tables.contains(name)) << "docs/format.md has no table for " << name;
    EXPECT_EQ(tables.at(name), fields) << name;
  }
  for (const auto& [name, fields] : tables) {
    EXPECT_TRUE(Structs().contains(name)) << name << " is in docs/format.md, but no struct";
  }
}

// The list above is whole: fields follow each other without a gap up to the end.
TEST(FormatDoc, LeavesOutNoByte) {
  const std::map<std::string, size_t> sizes = {{"ManifestHeader", sizeof(ManifestHeader)},
                                               {"SegmentHeader", sizeof(SegmentHeader)},
                                               {"IndexBucket", sizeof(IndexBucket)},
                                               {"ColumnEntry", sizeof(ColumnEntry)},
                                               {"SegmentFooter", sizeof(SegmentFooter)},
                                               {"LogHeader", sizeof(LogHeader)},
                                               {"FrameHeader", sizeof(FrameHeader)},
                                               {"RecordHeader", sizeof(RecordHeader)},
                                               {"RowPrefix", sizeof(RowPrefix)}};
  ASSERT_EQ(sizes.size(), Structs().size());
  for (const auto& [name, fields] : Structs()) {
    size_t at = 0;
    for (const Field& field : fields) {
      EXPECT_EQ(field.offset, at) << name << "." << field.name;
      at += field.size;
    }
    EXPECT_EQ(at, sizes.at(name)) << name;
  }
}

}  // namespace
}  // namespace fletching::format
