// docs/format.md says what the structs say: every byte table under a heading named like a struct is
// compared with its fields.
#include <cstddef>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "format/fields.h"
#include "format/log_layout.h"
#include "format/manifest.h"
#include "format/remote_root.h"
#include "format/segment_layout.h"

namespace fletching::format {

void PrintTo(const Field& field, std::ostream* out) {
  *out << "| " << field.offset << " | " << field.size << " | " << field.type << " | " << field.name;
}

namespace {

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
  const std::map<std::string, size_t> sizes = {
      {"ManifestHeader", sizeof(ManifestHeader)}, {"RemoteRootHeader", sizeof(RemoteRootHeader)},
      {"SegmentHeader", sizeof(SegmentHeader)},   {"IndexBucket", sizeof(IndexBucket)},
      {"ColumnEntry", sizeof(ColumnEntry)},       {"SegmentFooter", sizeof(SegmentFooter)},
      {"LogHeader", sizeof(LogHeader)},           {"FrameHeader", sizeof(FrameHeader)},
      {"RecordHeader", sizeof(RecordHeader)},     {"RowPrefix", sizeof(RowPrefix)}};
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
