// Verification agrees with opening about what is damage and what is not.
#include "table/verify.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "format/file_names.h"
#include "table/test_table.h"

namespace fletching::table {
namespace {

TableSchema Numbers() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "value", .type = arrow::int32()}};
  schema.key = {"id"};
  return schema;
}

void WriteOne(TestTable& table, int64_t id) {
  ASSERT_TRUE(table.Write({ArrayOf(arrow::int64(), {id}), ArrayOf(arrow::int32(), {id})}).ok());
}

VerifyReport Verify(io::FileSystem* disk) {
  VerifyReport report;
  EXPECT_TRUE(VerifyTable(disk, TestTable::kFolder, &report).ok());
  return report;
}

TEST(Verify, TakesALogThatWasNeverFinishedForAnOrphan) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  WriteOne(table, 1);
  ASSERT_TRUE(table->Flush().ok());
  WriteOne(table, 2);
  PutBytes(&disk, std::string(TestTable::kFolder) + "/" + format::LogFileName(9), {1, 2, 3});
  const VerifyReport report = Verify(&disk);
  EXPECT_TRUE(report.damage.empty()) << report.damage[0];
  EXPECT_EQ(report.orphans.size(), 1u);
  ASSERT_TRUE(table.Open().ok());
  EXPECT_EQ(table.ShowAll(), "1 1 | 2 2 | ");
  EXPECT_TRUE(Verify(&disk).orphans.empty());
}

TEST(Verify, FindsTheEndOfALogCutOffThatALaterLogContinues) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  WriteOne(table, 1);
  ASSERT_TRUE(table.Open().ok());
  WriteOne(table, 2);
  const std::vector<std::string> logs = FilesOf(&disk, TestTable::kFolder, format::kLogEnding);
  ASSERT_EQ(logs.size(), 2u);
  std::vector<uint8_t> bytes = BytesOf(&disk, logs[0]);
  bytes.back() ^= 1;
  PutBytes(&disk, logs[0], bytes);
  const VerifyReport report = Verify(&disk);
  ASSERT_EQ(report.damage.size(), 1u);
  EXPECT_NE(report.damage[0].find(logs[0]), std::string::npos) << report.damage[0];
  const Status opened = table.Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(CodeOf(opened), ErrorCode::kCorruption);
}

TEST(Verify, FindsAMissingLog) {
  io::SimFileSystem disk;
  TestTable table(&disk, Numbers());
  for (int64_t id = 1; id <= 3; ++id) {
    WriteOne(table, id);
    ASSERT_TRUE(table.Open().ok());
  }
  ASSERT_TRUE(disk.Remove(FilesOf(&disk, TestTable::kFolder, format::kLogEnding)[1]).ok());
  EXPECT_EQ(Verify(&disk).damage.size(), 1u);
  EXPECT_FALSE(table.Open().ok());
}

}  // namespace
}  // namespace fletching::table
