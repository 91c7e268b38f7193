// Files whose checksums fit and whose contents do not belong: refused at opening, before the read
// path takes anything for granted.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include "base/checksum.h"
#include "format/file_names.h"
#include "table/log.h"
#include "table/test_table.h"

namespace fletching::table {
namespace {

const auto kTime = arrow::timestamp(arrow::TimeUnit::MICRO);

TableSchema Schema(std::shared_ptr<arrow::DataType> key, std::shared_ptr<arrow::DataType> value,
                   bool has_event_time = false, int64_t ttl_ms = 0) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = std::move(key), .nullable = false},
                    {.name = "value", .type = std::move(value)}};
  schema.key = {"id"};
  if (has_event_time) schema.event_time = "value";
  schema.ttl_ms = ttl_ms;
  return schema;
}

std::shared_ptr<arrow::Array> Column(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() == arrow::Type::STRING) return ArrayOf({"a", "b"});
  return ArrayOf(type, {1, 2});
}

// A table whose log names one segment.
void MakeTable(io::FileSystem* disk, const TableSchema& schema) {
  TestTable table(disk, schema, 0);
  ASSERT_TRUE(table.Write({Column(schema.columns[0].type), Column(schema.columns[1].type)}).ok());
  ASSERT_EQ(table->Info().segment_count, 1);
}

// Opens a table of one schema with the segment of another.
Status OpenWithSegmentOf(const TableSchema& other, const TableSchema& own) {
  io::SimFileSystem disk;
  io::SimFileSystem other_disk;
  MakeTable(&disk, own);
  MakeTable(&other_disk, other);
  const std::string path = std::string(TestTable::kFolder) + "/" + format::SegmentFileName(1);
  PutBytes(&disk, path, BytesOf(&other_disk, path));
  TestTable table(&disk, own);
  return table.opened();
}

TEST(TableOpen, TakesASegmentOfANarrowerType) {
  const Status opened = OpenWithSegmentOf(Schema(arrow::int64(), arrow::int16()),
                                          Schema(arrow::int64(), arrow::int32()));
  EXPECT_TRUE(opened.ok()) << opened;
}

TEST(TableOpen, RefusesASegmentThatIsNotOfItsSchema) {
  const auto utf8 = arrow::utf8();
  const auto int64 = arrow::int64();
  const auto int32 = arrow::int32();
  const std::vector<std::pair<TableSchema, TableSchema>> pairs = {
      {Schema(utf8, int32), Schema(int64, int32)},                // keys of any length
      {Schema(int32, int32), Schema(int64, int32)},               // keys of another width
      {Schema(int64, utf8), Schema(int64, int32)},                // text where numbers should be
      {Schema(int64, int32), Schema(int64, utf8)},                // and the other way round
      {Schema(int64, int64), Schema(int64, int32)},               // wider
      {Schema(int64, int64), Schema(int64, kTime, true)},         // no event time
      {Schema(int64, int32), Schema(int64, int32, false, 1000)},  // no time of the commit
  };
  for (const auto& [other, own] : pairs) {
    const Status opened = OpenWithSegmentOf(other, own);
    ASSERT_FALSE(opened.ok()) << TypeName(*own.columns[1].type);
    EXPECT_EQ(CodeOf(opened), ErrorCode::kCorruption) << opened;
    EXPECT_NE(opened.message().find(".flseg"), std::string::npos) << opened;
  }
}

TEST(TableOpen, RefusesASegmentOfATableLikeIt) {
  const TableSchema schema = Schema(arrow::int64(), arrow::int32());
  const std::string name = "/" + format::SegmentFileName(1);
  io::SimFileSystem disk;
  MakeTable(&disk, schema);
  TestTable table(&disk, schema);
  ASSERT_TRUE(table.opened().ok());
  TableContext other = table.context;
  other.random = [] { return uint64_t{77}; };  // the seed of its hashes
  other.small_write_bytes_max = 0;
  ASSERT_TRUE(Table::Create(other, "/other", "other", schema).ok());
  const auto fields =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("value", arrow::int32())});
  const auto batch =
      arrow::RecordBatch::Make(fields, 2, {Column(arrow::int64()), Column(arrow::int32())});
  const auto reader = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
  const auto opened = Table::Open(other, "/other", true);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE((*opened)->Write({.table = "other"}, reader.get()).ok());
  PutBytes(&disk, TestTable::kFolder + name, BytesOf(&disk, "/other" + name));
  const Status again = table.Open();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(CodeOf(again), ErrorCode::kCorruption) << again;
  EXPECT_NE(again.message().find("another table"), std::string::npos) << again;
}

TEST(TableOpen, KeepsTheOrderOfWritesThatWereSegmentsAtOnce) {
  io::SimFileSystem disk;
  TestTable table(&disk, Schema(arrow::int64(), arrow::int32()), 0);
  const auto key = ArrayOf(arrow::int64(), {1});
  for (int64_t value = 1; value <= 3; ++value) {
    ASSERT_TRUE(table.Write({key, ArrayOf(arrow::int32(), {value})}).ok());
  }
  EXPECT_EQ(table->Info().segment_count, 3);
  EXPECT_EQ(table.Show(key), "3 | ");
  EXPECT_EQ(table.ShowAll(), "1 3 | ");
  ASSERT_TRUE(table.Open().ok());
  EXPECT_EQ(table.Show(key), "3 | ");
  EXPECT_EQ(table.ShowAll(), "1 3 | ");
}

TEST(TableOpen, GoesOnCountingCommits) {
  io::SimFileSystem disk;
  TestTable table(&disk, Schema(arrow::int64(), arrow::int32()));
  for (int64_t round = 1; round <= 4; ++round) {
    const auto one = ArrayOf(arrow::int64(), {round});
    const auto written = table.Write({one, ArrayOf(arrow::int32(), {round})});
    ASSERT_TRUE(written.ok()) << written.status();
    EXPECT_EQ(written->version, static_cast<uint64_t>(round));
    if (round == 2) {
      ASSERT_TRUE(table->Flush().ok());
    }
    ASSERT_TRUE(table.Open().ok());
    EXPECT_EQ(table->Info().version, static_cast<uint64_t>(round));
  }
  EXPECT_EQ(table.ShowAll(), "1 1 | 2 2 | 3 3 | 4 4 | ");
}

TEST(TableOpen, CountsTheRowsOfALogItself) {
  io::SimFileSystem disk;
  const TableSchema schema = Schema(arrow::int64(), arrow::int32());
  Ints ids;
  for (int64_t i = 0; i < 1500; ++i) ids.push_back(i);
  {
    TestTable table(&disk, schema);
    ASSERT_TRUE(table.Write({ArrayOf(arrow::int64(), ids), ArrayOf(arrow::int32(), ids)}).ok());
  }
  const std::string path = std::string(TestTable::kFolder) + "/" + format::LogFileName(1);
  std::vector<uint8_t> log = BytesOf(&disk, path);
  const size_t frame_at = sizeof(format::LogHeader);
  const size_t record_at = frame_at + sizeof(format::FrameHeader);
  StoreAs(log.data() + record_at + offsetof(format::RecordHeader, row_count), uint64_t{0});
  auto frame = LoadAs<format::FrameHeader>(log.data() + frame_at);
  frame.payload_checksum = Checksum(ByteSpan(log).subspan(record_at));
  frame.checksum =
      Checksum({reinterpret_cast<const uint8_t*>(&frame), offsetof(format::FrameHeader, checksum)});
  StoreAs(log.data() + frame_at, frame);
  PutBytes(&disk, path, log);
  TestTable table(&disk, schema);
  ASSERT_TRUE(table.opened().ok()) << table.opened();
  EXPECT_EQ(table.Show(ArrayOf(arrow::int64(), {1499, 1500})), "1499 | missing | ");
}

}  // namespace
}  // namespace fletching::table
