// Which of the folders below a source counts.
#include "pull/partition.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "fletching/status.h"

namespace fletching::pull {
namespace {

class PartitionTest : public ::testing::Test {
 protected:
  PartitionTest() {
    root_ =
        std::filesystem::path(testing::TempDir()) /
        ("partition_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
  }
  ~PartitionTest() override { std::filesystem::remove_all(root_); }

  void Put(const std::string& name, const std::string& content = "x") {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << content;
  }
  Result<Partition> Find(Layout layout = Layout::kDated) {
    ARROW_ASSIGN_OR_RAISE(const Source source, OpenSource({.kind = SourceSpec::Kind::kLocal,
                                                           .path = root_.string() + "/"}));
    return FindPartition(source, layout);
  }
  std::string Names(const Partition& partition) {
    std::string text;
    for (const PartitionFile& file : partition.files) {
      text += std::filesystem::path(file.path).lexically_relative(root_).string() + " ";
    }
    return text;
  }

  std::filesystem::path root_;
};

TEST_F(PartitionTest, IsTheNewestThatIsComplete) {
  Put("2026-11-19/a.parquet");
  Put("2026-11-19/_SUCCESS");
  Put("2026-11-20/b.parquet");
  Put("2026-11-20/a.parquet");
  Put("2026-11-20/_SUCCESS");
  Put("2026-11-21/a.parquet");  // still arriving
  Put("2026-13-01/_SUCCESS");   // no month
  Put("latest/_SUCCESS");
  const auto found = Find();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->name, "2026-11-20");
  EXPECT_EQ(Names(*found), "2026-11-20/a.parquet 2026-11-20/b.parquet ");
  EXPECT_EQ(PartitionNameOf(found->generation), "2026-11-20");
}

TEST_F(PartitionTest, LeavesOutWhatIsHiddenOrNoParquet) {
  Put("2026-11-20/_SUCCESS");
  Put("2026-11-20/a.parquet");
  Put("2026-11-20/_metadata.parquet");
  Put("2026-11-20/.a.parquet.crc");
  Put("2026-11-20/notes.txt");
  Put("2026-11-20/deeper/b.parquet");
  EXPECT_EQ(Names(Find().ValueOrDie()), "2026-11-20/a.parquet ");
}

TEST_F(PartitionTest, SaysWhatIsMissing) {
  EXPECT_NE(Find().status().message().find("no folder YYYY-MM-DD with _SUCCESS in it; none"),
            std::string::npos);
  Put("2026-11-20/a.parquet");
  EXPECT_NE(Find().status().message().find("the newest without one is 2026-11-20"),
            std::string::npos);
  EXPECT_EQ(CodeOf(Find().status()), ErrorCode::kNotFound);
  Put("2026-11-21/_SUCCESS");
  const auto empty = Find();
  EXPECT_EQ(CodeOf(empty.status()), ErrorCode::kInvalidArgument);
  EXPECT_NE(empty.status().message().find("2026-11-21 holds no file"), std::string::npos);
}

TEST_F(PartitionTest, IsAnotherOneWhenAFileIsWrittenAnewOrComesLate) {
  Put("2026-11-20/a.parquet", "one");
  Put("2026-11-20/_SUCCESS");
  const std::string before = Find().ValueOrDie().generation;
  EXPECT_EQ(Find().ValueOrDie().generation, before);
  Put("2026-11-20/a.parquet", "other");
  const std::string changed = Find().ValueOrDie().generation;
  EXPECT_NE(changed, before);
  Put("2026-11-20/late.parquet");
  EXPECT_NE(Find().ValueOrDie().generation, changed);
}

TEST_F(PartitionTest, OfAPlainLayoutIsEverythingBelow) {
  Put("day=2026-11-20/b.parquet");
  Put("a.parquet");
  Put("_temporary/c.parquet");
  Put(".spark/d.parquet");
  EXPECT_EQ(Names(Find(Layout::kPlain).ValueOrDie()), "a.parquet day=2026-11-20/b.parquet ");
}

TEST(PartitionName, IsADayThatExists) {
  EXPECT_TRUE(IsDate("2026-02-28"));
  EXPECT_TRUE(IsDate("2024-02-29"));
  for (const char* name :
       {"2026-02-29", "2026-11-31", "2026-1-01", "20261-1-01", "2026-11-2x", ""}) {
    EXPECT_FALSE(IsDate(name)) << name;
  }
}

}  // namespace
}  // namespace fletching::pull
