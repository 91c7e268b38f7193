// Whatever stands in a file, Inspect shows it; nothing makes it crash.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "format/inspect.h"
#include "io/test_folder.h"

namespace fletching::engine {
namespace {

const std::filesystem::path kGolden = FLETCHING_SOURCE_DIR "/tests/golden/v1";

std::vector<uint8_t> ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::filesystem::path> GoldenFiles() {
  std::vector<std::filesystem::path> files{kGolden / "constants.flseg"};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kGolden / "store")) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

InspectReport Inspect(const std::filesystem::path& path, ByteSpan bytes, bool show_all) {
  return format::InspectBytes(format::KindOfFile(path.string(), bytes), bytes,
                              {.show_all = show_all, .checks_blocks = true});
}

std::string Problems(const InspectReport& report) {
  std::string text;
  for (const InspectLine& line : report.lines) {
    if (!line.problem.empty()) text += line.name + ": " + line.problem + "\n";
  }
  return text;
}

const InspectLine* Find(const InspectReport& report, const std::string& name) {
  for (const InspectLine& line : report.lines) {
    if (line.name == name) return &line;
  }
  return nullptr;
}

TEST(Inspect, ShowsGoldenFilesWithoutAProblem) {
  const auto files = GoldenFiles();
  ASSERT_GT(files.size(), 15u);
  for (const auto& path : files) {
    const auto report = Engine::Inspect(path.string(), true);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(Problems(*report), "") << path;
    EXPECT_GT(report->lines.size(), 8u) << path;
    for (const InspectLine& line : report->lines) {
      EXPECT_LE(line.offset_bytes + line.size_bytes, std::filesystem::file_size(path)) << line.name;
    }
  }
}

TEST(Inspect, SpeaksTheWordsOfTheFormat) {
  const auto folder = kGolden / "store/tables/00000001";
  const auto manifest =
      Engine::Inspect((folder / "00000000000000000003.flman").string()).ValueOrDie();
  EXPECT_EQ(manifest.lines[0].name, "manifest");
  EXPECT_EQ(Find(manifest, "header")->type, "ManifestHeader");
  EXPECT_EQ(Find(manifest, "header_bytes")->value, "40");
  EXPECT_EQ(Find(manifest, "number")->value, "3");
  EXPECT_EQ(Find(manifest, "columns[0].name")->offset_bytes,
            Find(manifest, "columns[0].flags")->offset_bytes + 1);
  EXPECT_EQ(Find(manifest, "columns[10].name"), nullptr);
  EXPECT_NE(Find(manifest, "..."), nullptr);
  const auto segment =
      Engine::Inspect((folder / "00000000000000000001.flseg").string()).ValueOrDie();
  EXPECT_EQ(Find(segment, "row_offset")->value, "4096");
  EXPECT_EQ(Find(segment, "footer")->type, "SegmentFooter");
  EXPECT_NE(Find(segment, "block 0")->value.find(" ok"), std::string::npos);
  const auto log = Engine::Inspect((folder / "00000000000000000003.fllog").string()).ValueOrDie();
  EXPECT_EQ(Find(log, "log_number")->value, "3");
  EXPECT_EQ(Find(log, "frame 0")->type, "FrameHeader");
}

TEST(Inspect, ShowsWhatThereIsOfAFileCutAtEveryByte) {
  for (const auto& path : GoldenFiles()) {
    const std::vector<uint8_t> whole = ReadAll(path);
    const bool is_log = path.extension() == ".fllog";
    for (size_t size = 0; size < whole.size(); ++size) {
      if (whole.size() > 9000 && size > 300 && size % 41 != 0) continue;
      // A copy of its own, so that a sanitizer sees a look behind its end.
      const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<int64_t>(size));
      for (const bool show_all : {false, true}) {
        const InspectReport report = Inspect(path, cut, show_all);
        if (is_log && size >= 56) continue;  // a log may end anywhere
        EXPECT_NE(report.lines[0].problem, "") << path << " cut at " << size;
      }
    }
  }
}

TEST(Inspect, NamesTheOffsetOfAnyByteThatWasChanged) {
  for (const auto& path : GoldenFiles()) {
    std::vector<uint8_t> bytes = ReadAll(path);
    for (size_t at = 0; at < bytes.size(); at += bytes.size() > 2000 && at > 200 ? 37 : 1) {
      for (const uint8_t change : {0x01, 0x80, 0xff}) {
        bytes[at] ^= change;
        const InspectReport report = Inspect(path, bytes, false);
        // The last frame of a log may be torn, and a file with another magic is no segment.
        if (path.extension() != ".fllog") {
          EXPECT_NE(report.lines[0].problem.find("offset "), std::string::npos)
              << path << " changed at " << at;
        }
        bytes[at] ^= change;
      }
    }
  }
}

TEST(Inspect, ShowsAFolderWithALineForEachFile) {
  const auto report = Engine::Inspect((kGolden / "store").string());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(Problems(*report), "");
  size_t files = 0;
  for (const InspectLine& line : report->lines) files += line.type == "file" ? 1 : 0;
  EXPECT_EQ(files, GoldenFiles().size() - 1);
  EXPECT_NE(Find(*report, "00000000000000000003.flman")->value.find("manifest: table \""),
            std::string::npos);
}

TEST(Inspect, RefusesWhatIsNotOurs) {
  io::TestFolder folder;
  EXPECT_EQ(CodeOf(Engine::Inspect(folder / "no").status()), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(Engine::Inspect(folder.path()).status()), ErrorCode::kInvalidArgument);
  std::ofstream(folder / "notes") << "nothing of ours";
  const auto report = Engine::Inspect(folder / "notes").ValueOrDie();
  EXPECT_NE(report.lines[0].problem.find("neither a manifest"), std::string::npos);
  std::ofstream(folder / "LOCK") << "123\n";
  EXPECT_NE(Engine::Inspect(folder / "LOCK")->lines[0].value.find("\"123\""), std::string::npos);
}

}  // namespace
}  // namespace fletching::engine
