// One bit turned over, or the end cut off, at every byte of every file of a small table: opening or
// reading says so and names the file, or shows the right values; never a wrong one, never a crash.
// Verification finds every bit.
//
// The one thing checksums cannot tell: the last frame of the newest log, where a damaged
// acknowledged write looks like one that a power loss cut off. It is dropped, whole.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "format/file_names.h"
#include "table/test_table.h"
#include "table/verify.h"

namespace fletching::table {
namespace {

TableSchema Mixed() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "number", .type = arrow::int32()},
                    {.name = "text", .type = arrow::utf8()},
                    {.name = "rare", .type = arrow::int64()},
                    {.name = "same", .type = arrow::float32()},
                    {.name = "list", .type = arrow::list(arrow::int32())}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Keys(int64_t first, int64_t count) {
  Texts texts;
  for (int64_t i = first; i < first + count; ++i) texts.push_back("key" + std::to_string(i));
  return ArrayOf(texts);
}

Status WriteRows(TestTable& table, int64_t first, int64_t count, int64_t number) {
  Ints numbers;
  Ints rare;
  Ints same;
  Texts texts;
  for (int64_t i = 0; i < count; ++i) {
    numbers.push_back(i % 5 == 0 ? std::nullopt : std::optional<int64_t>(number + i));
    rare.push_back(i % 17 == 0 ? std::optional<int64_t>(i) : std::nullopt);
    same.push_back(7);
    texts.push_back(i % 3 == 0
                        ? std::nullopt
                        : std::optional<std::string>(std::string(static_cast<size_t>(i % 40),
                                                                 static_cast<char>('a' + i % 26))));
  }
  return table
      .Write({Keys(first, count), ArrayOf(arrow::int32(), numbers), ArrayOf(texts),
              ArrayOf(arrow::int64(), rare), ArrayOf(arrow::float32(), same),
              ArrayOfLists(count, 2)})
      .status();
}

class Damage : public ::testing::Test {
 protected:
  // Two segments (one with sparse and constant columns, deletions and all), a manifest, and two
  // logs of which the second continues the first.
  void SetUp() override {
    TestTable table(&disk_, Mixed());
    ASSERT_TRUE(WriteRows(table, 0, 60, 0).ok());
    ASSERT_TRUE(table->Compact().ok());
    ASSERT_TRUE(WriteRows(table, 50, 20, 1000).ok());
    ASSERT_TRUE(table.Delete(Keys(0, 3)).ok());
    ASSERT_TRUE(table->Flush().ok());
    ASSERT_TRUE(WriteRows(table, 60, 5, 2000).ok());
    ASSERT_TRUE(WriteRows(table, 5, 5, 3000).ok());
    ASSERT_TRUE(table.Open().ok());
    ASSERT_TRUE(WriteRows(table, 7, 5, 4000).ok());
    states_.push_back(table.ShowAll());  // what is left when the last frame is dropped
    reads_.push_back(table.Show(Keys(0, 80)));
    ASSERT_TRUE(table.Delete(Keys(20, 2)).ok());
    states_.push_back(table.ShowAll());
    reads_.push_back(table.Show(Keys(0, 80)));
    context_ = table.context;
    context_.clock = &clock_;
    context_.caster = &caster_;
    context_.random = [] { return uint64_t{1}; };
  }

  // Opens and reads with `bytes` in place of the file. May answer with an error that names it.
  void Check(const std::string& path, const std::vector<uint8_t>& bytes, const std::string& what,
             bool may_drop_last) {
    PutBytes(&disk_, path, bytes);
    VerifyReport report;
    ASSERT_TRUE(VerifyTable(&disk_, TestTable::kFolder, &report).ok());
    const bool is_found =
        !report.damage.empty() && report.damage[0].find(path) != std::string::npos;
    EXPECT_TRUE(is_found || may_drop_last) << what << ": verification does not find it";
    const auto table = Table::Open(context_, TestTable::kFolder, false);
    if (!table.ok()) return CheckError(table.status(), path, what);
    CheckAnswer(Show(**table), reads_, path, what, may_drop_last);
    CheckAnswer(ShowAll(**table), states_, path, what, may_drop_last);
  }

  void CheckError(const Status& status, const std::string& path, const std::string& what) {
    const bool is_expected = CodeOf(status) == ErrorCode::kCorruption ||
                             CodeOf(status) == ErrorCode::kUnsupported;  // a version of the future
    EXPECT_TRUE(is_expected) << what << ": " << status;
    EXPECT_NE(status.message().find(path), std::string::npos) << what << ": " << status;
    if (CodeOf(status) == ErrorCode::kCorruption) {
      EXPECT_NE(status.message().find("offset "), std::string::npos) << what << ": " << status;
    }
  }

  void CheckAnswer(const Result<std::string>& answer, const std::vector<std::string>& expected,
                   const std::string& path, const std::string& what, bool may_drop_last) {
    if (!answer.ok()) return CheckError(answer.status(), path, what);
    EXPECT_TRUE(*answer == expected[1] || (may_drop_last && *answer == expected[0]))
        << what << ": wrong values\n"
        << *answer;
  }

  Result<std::string> Show(const Table& table) {
    ARROW_ASSIGN_OR_RAISE(const ReadResult result,
                          table.Read({.table = "t", .keys = {Keys(0, 80)}}));
    return RowsText(result);
  }
  Result<std::string> ShowAll(const Table& table) {
    ARROW_ASSIGN_OR_RAISE(const auto reader, table.Scan({.table = "t"}));
    return RowsText(reader.get());
  }

  io::SimFileSystem disk_;
  TestClock clock_;
  PlainCaster caster_;
  TableContext context_;
  std::vector<std::string> states_;
  std::vector<std::string> reads_;
};

// Bytes of a file that mean something: space that a log reserved does not.
size_t MeaningfulBytes(const std::string& path, const std::vector<uint8_t>& bytes) {
  return path.ends_with(format::kLogEnding) ? LastFrameOf(bytes).end : bytes.size();
}

TEST_F(Damage, OfOneBitIsFoundAtEveryByte) {
  const std::vector<std::string> logs = FilesOf(&disk_, TestTable::kFolder, format::kLogEnding);
  ASSERT_EQ(logs.size(), 2u);
  const uint64_t last_frame = LastFrameOf(BytesOf(&disk_, logs[1])).begin;
  ASSERT_EQ(FilesOf(&disk_, TestTable::kFolder, format::kSegmentEnding).size(), 2u);
  for (const std::string& path : FilesOf(&disk_, TestTable::kFolder, "")) {
    const std::vector<uint8_t> good = BytesOf(&disk_, path);
    for (size_t at = 0; at < MeaningfulBytes(path, good); ++at) {
      // Of the zeros behind a segment's header every 64th byte speaks for all.
      if (path.ends_with(format::kSegmentEnding) && at > 16 && at < 4096 && at % 64 != 0) continue;
      std::vector<uint8_t> bytes = good;
      bytes[at] ^= static_cast<uint8_t>(1u << (at * 5 % 8));
      Check(path, bytes, path + ", bit of byte " + std::to_string(at),
            path == logs[1] && at >= last_frame);
      if (HasFailure()) return;
    }
    PutBytes(&disk_, path, good);
  }
}

TEST_F(Damage, OfACutIsFoundAtEveryByte) {
  const std::string newest_log = FilesOf(&disk_, TestTable::kFolder, format::kLogEnding)[1];
  const uint64_t last_frame = LastFrameOf(BytesOf(&disk_, newest_log)).begin;
  for (const std::string& path : FilesOf(&disk_, TestTable::kFolder, "")) {
    const std::vector<uint8_t> good = BytesOf(&disk_, path);
    // A shorter newest log is one that a power loss cut off; what is left of it is whole frames.
    const size_t end = MeaningfulBytes(path, good);
    for (size_t bytes = path == newest_log ? last_frame : 0; bytes < end; ++bytes) {
      Check(path, {good.begin(), good.begin() + static_cast<ptrdiff_t>(bytes)},
            path + ", cut at " + std::to_string(bytes), path == newest_log);
      if (HasFailure()) return;
    }
    PutBytes(&disk_, path, good);
  }
}

TEST_F(Damage, OfReservedSpaceHarmsNobody) {
  for (const std::string& path : FilesOf(&disk_, TestTable::kFolder, format::kLogEnding)) {
    const std::vector<uint8_t> good = BytesOf(&disk_, path);
    const size_t end = LastFrameOf(good).end;
    ASSERT_LT(end, good.size());
    for (size_t at = end; at < good.size(); at += 4093) {
      std::vector<uint8_t> bytes = good;
      bytes[at] ^= 0x10;
      PutBytes(&disk_, path, bytes);
      const auto table = Table::Open(context_, TestTable::kFolder, false);
      ASSERT_TRUE(table.ok()) << table.status();
      CheckAnswer(ShowAll(**table), states_, path, "reserved byte " + std::to_string(at), false);
    }
    PutBytes(&disk_, path, good);
  }
}

TEST_F(Damage, OfAMissingFileIsNamed) {
  const std::vector<std::string> logs = FilesOf(&disk_, TestTable::kFolder, format::kLogEnding);
  for (const std::string& path : FilesOf(&disk_, TestTable::kFolder, "")) {
    if (path == logs[1]) continue;  // nobody knows that there was one
    const std::vector<uint8_t> good = BytesOf(&disk_, path);
    ASSERT_TRUE(disk_.Remove(path).ok());
    VerifyReport report;
    ASSERT_TRUE(VerifyTable(&disk_, TestTable::kFolder, &report).ok());
    EXPECT_FALSE(report.damage.empty()) << path;
    const auto table = Table::Open(context_, TestTable::kFolder, false);
    EXPECT_FALSE(table.ok()) << path;
    PutBytes(&disk_, path, good);
  }
}

}  // namespace
}  // namespace fletching::table
