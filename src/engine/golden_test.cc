// Files of every released version of the format are read as the values they were written with.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "engine/test_model.h"
#include "format/manifest.h"
#include "io/test_folder.h"
#include "segment/segment_reader.h"

namespace fletching::engine {
namespace {

const std::filesystem::path kGolden = FLETCHING_SOURCE_DIR "/tests/golden";

std::vector<std::string> Versions() {
  std::vector<std::string> versions;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    if (entry.is_directory()) versions.push_back(entry.path().filename());
  }
  return versions;
}

// The clock of make_golden when it was done; only the table with a ttl looks.
class GoldenClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_us; }
  int64_t now_us = 1'700'000'000'000'000 + 18 * 1000;
};

std::string Dump(Engine& engine) {
  std::string text;
  // In the order of make_golden.
  for (const char* name :
       {"types", "floats", "sparse", "composite", "events", "expiring", "loaded"}) {
    if (name == std::string_view("loaded") && !engine.GetTable(name).ok()) continue;  // version 1
    const auto rows = ReadRows(engine, name);
    EXPECT_TRUE(rows.ok()) << name << ": " << rows.status();
    if (rows.ok()) text += std::string("table ") + name + "\n" + DumpRows(*rows);
  }
  return text;
}

std::string Expected(const std::string& version, const char* file = "expected.txt") {
  std::stringstream text;
  text << std::ifstream(kGolden / version / file).rdbuf();
  return text.str();
}

TEST(Golden, HasFilesOfEveryVersion) {
  EXPECT_TRUE(std::filesystem::exists(kGolden / ("v" + std::to_string(format::kSegmentVersion))));
  EXPECT_TRUE(std::filesystem::exists(kGolden / ("v" + std::to_string(format::kManifestVersion))));
}

TEST(Golden, ReadsTheSameValuesWithoutTouchingAFile) {
  for (const std::string& version : Versions()) {
    GoldenClock clock;
    EngineOptions options;
    options.data_dir = kGolden / version / "store";
    options.mode = OpenMode::kReadOnly;
    options.clock = &clock;
    const auto engine = Engine::Open(options);
    ASSERT_TRUE(engine.ok()) << engine.status();
    EXPECT_EQ(Dump(**engine), Expected(version)) << version;
    const auto report = Engine::Verify(options.data_dir);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(report->damage.empty()) << report->damage[0];
    EXPECT_TRUE(report->orphans.empty()) << report->orphans[0];
  }
}

TEST(Golden, GoesOnFromThem) {
  for (const std::string& version : Versions()) {
    io::TestFolder folder;
    std::filesystem::copy(kGolden / version / "store", folder / "store",
                          std::filesystem::copy_options::recursive);
    GoldenClock clock;
    EngineOptions options;
    options.data_dir = folder / "store";
    options.clock = &clock;
    auto engine = Engine::Open(options).ValueOrDie();
    EXPECT_EQ(Dump(*engine), Expected(version)) << version;
    for (const TableInfo& info : engine->ListTables()) {
      ASSERT_TRUE(engine->Compact(info.name).ok()) << info.name;
    }
    EXPECT_EQ(Dump(*engine), Expected(version)) << version << ", compacted";
    if (engine->GetTable("loaded").ok()) {
      ASSERT_TRUE(engine->RollBack("loaded").ok());
      EXPECT_EQ("table loaded\n" + DumpRows(ReadRows(*engine, "loaded").ValueOrDie()),
                Expected(version, "expected_previous.txt"));
    }
    ASSERT_TRUE(engine->AddColumn("types", {.name = "new", .type = arrow::int8()}).ok());
    ASSERT_TRUE(engine->DropTable("floats").ok());
    engine.reset();
    engine = Engine::Open(options).ValueOrDie();
    EXPECT_EQ(engine->GetTable("types")->schema.columns.back().name, "new");
  }
}

// The store holds what the format can say, or reading it would prove little.
TEST(Golden, HoldsEveryEncodingAndBothUnits) {
  std::set<int> encodings;
  std::set<uint32_t> units;
  uint64_t dead_count = 0;
  uint64_t tombstone_count = 0;
  int logs = 0;
  const std::filesystem::path folder = kGolden / "v1";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    logs += entry.path().extension() == ".fllog" && entry.file_size() > 100 ? 1 : 0;
    if (entry.path().extension() != ".flseg") continue;
    const auto reader = segment::SegmentReader::Open(
        io::PosixFileSystem()->Map(entry.path().string()).ValueOrDie());
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->VerifyAll().ok());
    for (const segment::LayoutColumn& column : (*reader)->layout().columns) {
      encodings.insert(static_cast<int>(column.encoding));
    }
    units.insert((*reader)->layout().unit_bytes);
    dead_count += (*reader)->footer().dead_count;
    tombstone_count += (*reader)->footer().tombstone_count;
  }
  EXPECT_EQ(encodings, (std::set<int>{1, 2, 3}));
  EXPECT_TRUE(units.contains(8) && units.contains(64));
  EXPECT_GT(dead_count, 0u);
  EXPECT_GT(tombstone_count, 0u);
  EXPECT_GE(logs, 4);
}

TEST(Golden, ReadsConstants) {
  const auto reader = segment::SegmentReader::Open(
      io::PosixFileSystem()->Map((kGolden / "v1" / "constants.flseg").string()).ValueOrDie());
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<ByteSpan> keys;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  uint64_t cursor = 0;
  ASSERT_TRUE((*reader)->Scan(&cursor, 100, &keys, &bodies, &rows).ok());
  ASSERT_EQ(keys.size(), 10u);
  const std::vector<uint32_t> ids = {1, 2};
  std::shared_ptr<arrow::Buffer> values = arrow::AllocateBuffer(10 * 4).ValueOrDie();
  std::vector<segment::ColumnOutput> outputs;
  outputs.emplace_back(arrow::int32(), 10, values, true);
  outputs.emplace_back(arrow::utf8(), 10, nullptr, true);
  ASSERT_TRUE(
      (*reader)->Gather(ids, {bodies.data(), rows.data(), nullptr, 10}, outputs.data()).ok());
  EXPECT_EQ(CellOf(*outputs[0].Finish(nullptr, 10).ValueOrDie(), 9), "i77");
  EXPECT_EQ(CellOf(*outputs[1].Finish(nullptr, 10).ValueOrDie(), 9), "sconstant");
}

}  // namespace
}  // namespace fletching::engine
