// A real file system that is full: errors that say so, reads that go on, no files left behind, and
// writes again as soon as there is room.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/mount.h>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "base/ignore_error.h"
#include "io/test_folder.h"

namespace fletching::engine {
namespace {

// A file system of 16 MiB on `folder`, gone with this.
class SmallDisk {
 public:
  // kind: "tmpfs" or "ext4". IsMounted tells whether it could be had here.
  SmallDisk(const std::string& kind, const std::string& folder) : folder_(folder) {
    std::filesystem::create_directories(folder);
    if (kind == "tmpfs") {
      is_mounted_ = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=16m") == 0;
      return;
    }
    const std::string image = folder + ".img";
    std::ofstream(image).close();
    std::filesystem::resize_file(image, 16 << 20);
    const std::string command = "(mkfs.ext4 -q -F " + image + " && mount -o loop " + image + " " +
                                folder + ") >/dev/null 2>&1";
    is_mounted_ = std::system(command.c_str()) == 0;
  }
  ~SmallDisk() {
    if (is_mounted_) ::umount(folder_.c_str());
  }
  bool IsMounted() const { return is_mounted_; }

 private:
  const std::string folder_;
  bool is_mounted_ = false;
};

void Fill(const std::string& path, uint64_t bytes_left) {
  const uint64_t available =
      std::filesystem::space(std::filesystem::path(path).parent_path()).available;
  ASSERT_GT(available, bytes_left);
  std::ofstream file(path, std::ios::binary);
  const std::string piece(64 << 10, 'x');
  for (uint64_t at = 0; at + piece.size() < available - bytes_left; at += piece.size())
    file << piece;
}

std::vector<std::string> Orphans(const std::string& data_dir) {
  const auto report = Engine::Verify(data_dir);
  EXPECT_TRUE(report.ok() && report->damage.empty());
  std::vector<std::string> orphans = report->orphans;
  std::erase_if(orphans, [](const std::string& path) { return path.ends_with("LOCK"); });
  return orphans;
}

std::shared_ptr<arrow::RecordBatchReader> ManyRows(int64_t first, int64_t count) {
  arrow::Int64Builder ids;
  arrow::StringBuilder texts;
  for (int64_t i = first; i < first + count; ++i) {
    EXPECT_TRUE(ids.Append(i).ok());
    EXPECT_TRUE(texts.Append("text of row " + std::to_string(i)).ok());
  }
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("text", arrow::utf8())});
  return arrow::RecordBatchReader::Make(
             {arrow::RecordBatch::Make(schema, count,
                                       {ids.Finish().ValueOrDie(), texts.Finish().ValueOrDie()})})
      .ValueOrDie();
}

int64_t CountRows(Engine& engine) {
  int64_t rows = 0;
  const auto reader = engine.Scan({.table = "t"}).ValueOrDie();
  std::shared_ptr<arrow::RecordBatch> batch;
  while (reader->ReadNext(&batch).ok() && batch != nullptr) rows += batch->num_rows();
  return rows;
}

void FillAndHeal(const std::string& kind) {
  io::TestFolder folder;
  const std::string mounted = folder / "disk";
  SmallDisk disk(kind, mounted);
  if (!disk.IsMounted()) GTEST_SKIP() << "may not mount " << kind << " here";
  const std::string data_dir = mounted + "/data";
  EngineOptions options;
  options.data_dir = data_dir;
  options.small_write_bytes_max = 100'000;
  auto engine = Engine::Open(options).ValueOrDie();
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "text", .type = arrow::utf8()}};
  schema.key = {"id"};
  ASSERT_TRUE(engine->CreateTable("t", schema).ok());
  const auto write = [&](int64_t first, int64_t count) {
    const auto rows = ManyRows(first, count);
    return engine->Write({.table = "t"}, rows.get()).status();
  };
  ASSERT_TRUE(write(0, 20'000).ok());
  ASSERT_TRUE(write(20'000, 10).ok());
  Fill(mounted + "/filler", 300 << 10);

  // Large: does not fit. Small ones: until they do not fit either.
  const Status large = write(30'000, 50'000);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(CodeOf(large), ErrorCode::kStorageFull) << large;
  EXPECT_EQ(Orphans(data_dir), std::vector<std::string>());
  int64_t rows = 20'010;
  Status small;
  for (int64_t i = 0; i < 1000; ++i) {
    small = write(100'000 + 500 * i, 500);
    if (!small.ok()) break;
    rows += 500;
  }
  EXPECT_EQ(CodeOf(small), ErrorCode::kStorageFull) << small;
  IgnoreError(engine->Flush("t"));
  EXPECT_EQ(CountRows(*engine), rows);
  EXPECT_EQ(Orphans(data_dir), std::vector<std::string>());

  ASSERT_TRUE(std::filesystem::remove(mounted + "/filler"));
  const Status healed = write(30'000, 50'000);
  ASSERT_TRUE(healed.ok()) << healed;
  ASSERT_TRUE(write(80'000, 10).ok());
  ASSERT_TRUE(engine->Flush("t").ok());
  rows += 50'010;
  EXPECT_EQ(CountRows(*engine), rows);
  engine.reset();
  engine = Engine::Open(options).ValueOrDie();
  EXPECT_EQ(CountRows(*engine), rows);
  engine.reset();
  EXPECT_EQ(Orphans(data_dir), std::vector<std::string>());
}

TEST(EngineDiskFull, HealsOnATmpfs) { FillAndHeal("tmpfs"); }

TEST(EngineDiskFull, HealsOnAnExt4OfItsOwn) { FillAndHeal("ext4"); }

}  // namespace
}  // namespace fletching::engine
