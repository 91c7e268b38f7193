// Any bytes as the frames of a log whose checksums fit, beside a good manifest and segment: a table
// opens and can be read, written and flushed, or says why not.
//
//   input   u8 kind of table | frames; headers of frames are repaired where they stand
#include "table/log.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "arrow/api.h"

#include "base/checksum.h"
#include "format/file_names.h"
#include "table/test_table.h"
#include "table/verify.h"

namespace fletching::table {
namespace {

constexpr uint64_t kSalt = 7;

TableSchema SchemaOf(int kind) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "number", .type = arrow::int32()},
                    {.name = "text", .type = arrow::utf8()},
                    {.name = "list", .type = arrow::list(arrow::int32())}};
  schema.key = {"id"};
  if (kind % 4 == 1) schema.columns[0].type = arrow::int64();
  if (kind % 4 == 2) {
    schema.columns[3] = {.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MILLI)};
    schema.event_time = "at";
  }
  if (kind % 4 == 3) schema.ttl_ms = 1000;
  return schema;
}

// A log of these frames: each header found where the one before it ends is made to fit.
std::vector<uint8_t> RepairLog(ByteSpan frames) {
  format::LogHeader header{
      format::kLogMagic, format::kLogVersion, sizeof(format::LogHeader), 1, 0, 0, kSalt, 0};
  header.checksum =
      Checksum({reinterpret_cast<const uint8_t*>(&header), offsetof(format::LogHeader, checksum)});
  std::vector<uint8_t> log(sizeof(header));
  StoreAs(log.data(), header);
  log.insert(log.end(), frames.begin(), frames.end());
  uint64_t number = 0;
  for (size_t at = sizeof(header); at + sizeof(format::FrameHeader) <= log.size();) {
    auto frame = LoadAs<format::FrameHeader>(log.data() + at);
    const size_t begin = at + sizeof(frame);
    frame.magic = format::kFrameMagic;
    frame.salt = kSalt;
    frame.frame_number = number++;
    frame.payload_bytes = std::min<uint64_t>(frame.payload_bytes, log.size() - begin) / 8 * 8;
    frame.payload_checksum = Checksum(ByteSpan(log).subspan(begin, frame.payload_bytes));
    frame.checksum = Checksum(
        {reinterpret_cast<const uint8_t*>(&frame), offsetof(format::FrameHeader, checksum)});
    StoreAs(log.data() + at, frame);
    at = begin + frame.payload_bytes;
  }
  return log;
}

std::shared_ptr<arrow::Array> SomeKeys(int kind) {
  return kind % 4 == 1 ? ArrayOf(arrow::int64(), {0, 1, 2, 3})
                       : ArrayOf({"", "key0", "key1", "key2"});
}

void Digest(ByteSpan input) {
  const int kind = input.empty() ? 0 : input[0];
  const TableSchema schema = SchemaOf(kind);
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  const auto numbers = ArrayOf(arrow::int32(), {1, {}, 3, 4});
  const auto last =
      kind % 4 == 2 ? ArrayOf(schema.columns[3].type, {1, 2, 3, 4}) : ArrayOfLists(4, 2);
  const std::vector<std::shared_ptr<arrow::Array>> columns = {SomeKeys(kind), numbers,
                                                              ArrayOf({"a", {}, "ccc", ""}), last};
  if (!table.Write(columns).ok() || !table.Open().ok()) __builtin_trap();
  PutBytes(&disk, std::string(TestTable::kFolder) + "/" + format::LogFileName(1),
           RepairLog(input.empty() ? input : input.subspan(1)));
  VerifyReport report;
  (void)VerifyTable(&disk, TestTable::kFolder, &report);
  if (!table.Open().ok()) return;
  (void)table->Read({.table = "t", .keys = {SomeKeys(kind)}});
  const auto scan = table->Scan({.table = "t"});
  std::shared_ptr<arrow::RecordBatch> batch;
  while (scan.ok() && (*scan)->ReadNext(&batch).ok() && batch != nullptr) {
  }
  (void)table.Write(columns);
  (void)table->Compact();
}

}  // namespace
}  // namespace fletching::table

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  fletching::table::Digest({data, bytes});
  return 0;
}
