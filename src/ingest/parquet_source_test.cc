#include <algorithm>
#include <cstring>
#include <random>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/builder.h"
#include "arrow/io/memory.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include <gtest/gtest.h>

#include "ingest/cast.h"
#include "ingest/sources.h"
#include "ingest/test_samples.h"

namespace fletching::ingest {
namespace {

using samples::ArrayOf;
using samples::BatchOf;
using samples::BatchPtr;
using samples::EveryType;
using samples::OpenParquetBody;
using samples::ParquetBody;
using samples::ReadAll;

const arrow::EqualOptions kNansEqual = arrow::EqualOptions::Defaults().nans_equal(true);

void ExpectEqualAfterCasts(const BatchPtr& read, const BatchPtr& expected) {
  ASSERT_EQ(read->num_rows(), expected->num_rows());
  for (const auto& field : expected->schema()->fields()) {
    const auto column = read->GetColumnByName(field->name());
    ASSERT_NE(column, nullptr) << field->name();
    const auto cast = CastColumn(column, field->type(), {});
    ASSERT_TRUE(cast.ok()) << field->name() << ": " << cast.status();
    const auto wanted = expected->GetColumnByName(field->name());
    EXPECT_TRUE((*cast)->Equals(*wanted, kNansEqual)) << field->name() << "\n"
                                                      << (*cast)->ToString() << "\n"
                                                      << wanted->ToString();
  }
}

TEST(ParquetSource, ReadsEveryType) {
  for (const bool store_schema : {true, false}) {
    const std::string body = ParquetBody({EveryType()}, {.store_schema = store_schema});
    const auto read = ReadAll(OpenParquetBody(body));
    ASSERT_TRUE(read.ok()) << read.status();
    // Parquet itself knows neither seconds of a day nor lists of a fixed size: the cast brings
    // them back.
    ExpectEqualAfterCasts(*read, EveryType());
  }
}

TEST(ParquetSource, ReadsEveryRowGroup) {
  const BatchPtr batch = EveryType();
  for (const bool dictionary : {true, false}) {
    for (const int64_t rows : {1, 4, 100}) {
      const std::string body =
          ParquetBody({batch, batch, batch},
                      {.row_group_rows = rows, .dictionary = dictionary, .compressed = true});
      const auto read = ReadAll(OpenParquetBody(body));
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_EQ((*read)->num_rows(), 18);
      ExpectEqualAfterCasts((*read)->Slice(6, 6), batch);
    }
  }
}

TEST(ParquetSource, ReadsOnlyTheColumnsAskedFor) {
  const std::string body = ParquetBody({EveryType()});
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(body));
  const std::vector<std::string> names = {"list_utf8", "nowhere", "int8"};
  const auto read = ReadAll(OpenParquet(source, DecodeLimits{}, names));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->schema()->field_names(), (std::vector<std::string>{"int8", "list_utf8"}));
  EXPECT_EQ((*read)->num_rows(), 6);
}

TEST(ParquetSource, GivesNoRowsWhenNoColumnIsThere) {
  const std::string body = ParquetBody({EveryType()});
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(body));
  const std::vector<std::string> names = {"nowhere"};
  const auto read = ReadAll(OpenParquet(source, DecodeLimits{}, names));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->num_rows(), 0);
}

TEST(ParquetSource, ReadsAFileWithoutRows) {
  const auto read = ReadAll(OpenParquetBody(ParquetBody({EveryType()->Slice(0, 0)})));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->num_rows(), 0);
  EXPECT_EQ((*read)->num_columns(), EveryType()->num_columns());
}

TEST(ParquetSource, StepsThroughALongRowGroup) {
  std::vector<int64_t> values(100'000);
  for (size_t at = 0; at < values.size(); ++at) values[at] = static_cast<int64_t>(at * 7);
  auto bytes = arrow::Buffer::FromVector(values);
  const BatchPtr batch = BatchOf({"n"}, {std::make_shared<arrow::Int64Array>(100'000, bytes)});
  auto reader = OpenParquetBody(ParquetBody({batch})).ValueOrDie();
  std::vector<int64_t> lengths;
  for (BatchPtr piece; reader->ReadNext(&piece).ok() && piece != nullptr;) {
    lengths.push_back(piece->num_rows());
  }
  EXPECT_EQ(lengths, (std::vector<int64_t>{65536, 100'000 - 65536}));
}

TEST(ParquetSource, BatchesOutliveTheReader) {
  BatchPtr batch;
  {
    auto reader = OpenParquetBody(ParquetBody({EveryType()})).ValueOrDie();
    ASSERT_TRUE(reader->ReadNext(&batch).ok());
  }
  ExpectEqualAfterCasts(batch, EveryType());
}

TEST(ParquetSource, RefusesAFileCutAtEveryByte) {
  const std::string body = ParquetBody({EveryType()}, {.row_group_rows = 3});
  for (size_t length = 0; length < body.size(); ++length) {
    const auto read = ReadAll(OpenParquetBody(body.substr(0, length)));
    ASSERT_FALSE(read.ok()) << length;
    EXPECT_EQ(CodeOf(read.status()), ErrorCode::kInvalidArgument) << read.status();
  }
}

// One bit of every `stride`-th byte.
void FlipBits(const std::string& body, size_t stride) {
  std::mt19937 random(11);
  for (size_t at = 0; at < body.size(); at += stride) {
    std::string damaged = body;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
    samples::Digest(OpenParquetBody(damaged));
  }
}

TEST(ParquetSource, SurvivesFlippedBits) {
  const BatchPtr few = EveryType()->SelectColumns({0, 4, 12, 25, 26}).ValueOrDie();
  for (const bool compressed : {false, true}) {
    FlipBits(ParquetBody({few}, {.row_group_rows = 4, .compressed = compressed}), 1);
  }
  FlipBits(ParquetBody({EveryType()}), 17);
}

TEST(ParquetSource, TellsThatCurlNeedsDataBinary) {
  std::string body = ParquetBody({EveryType()});
  const auto message = [](const std::string& bytes) {
    return ReadAll(OpenParquetBody(bytes)).status().message();
  };
  std::string mangled = body;
  std::erase_if(mangled, [](char byte) { return byte == '\n' || byte == '\r'; });
  ASSERT_LT(mangled.size(), body.size());
  EXPECT_NE(message(mangled).find("--data-binary"), std::string::npos) << message(mangled);
  std::erase(mangled, '\0');
  EXPECT_NE(message(mangled).find("--data-binary"), std::string::npos) << message(mangled);
  const std::string cut = body.substr(0, body.find('\0'));
  EXPECT_NE(message(cut).find("--data-binary"), std::string::npos) << message(cut);
  EXPECT_EQ(message("something else entirely"), "Parquet: the body does not start with PAR1");
}

TEST(ParquetSource, ReadsRowGroupsWhosePagesOutgrowTheBudget) {
  // Each column holds a page and a dictionary of up to a megabyte: 40 of them do not fit 8 MiB.
  const int64_t rows = 200'000;
  std::mt19937 random(3);
  std::vector<std::string> names;
  std::vector<samples::ArrayPtr> columns;
  for (int at = 0; at < 20; ++at) {
    std::vector<float> values(rows);
    for (float& value : values) value = static_cast<float>(random());
    names.push_back("c" + std::to_string(at));
    columns.push_back(
        std::make_shared<arrow::FloatArray>(rows, arrow::Buffer::FromVector(std::move(values))));
  }
  const BatchPtr batch = BatchOf(names, columns);
  auto source = std::make_shared<arrow::io::BufferReader>(
      arrow::Buffer::FromString(ParquetBody({batch, batch->Slice(7, 1000)})));
  auto reader = OpenParquet(source, {.piece_bytes_max = 8 << 20}).ValueOrDie();
  int64_t row = 0;
  for (BatchPtr piece;;) {
    const Status status = reader->ReadNext(&piece);
    ASSERT_TRUE(status.ok()) << status;
    if (piece == nullptr) break;
    const int64_t first = row < rows ? row : row - rows + 7;
    const int64_t until_seam = std::min(piece->num_rows(), row < rows ? rows - row : rows);
    ASSERT_TRUE(piece->Slice(0, until_seam)->Equals(*batch->Slice(first, until_seam))) << row;
    row += piece->num_rows();
  }
  EXPECT_EQ(row, rows + 1000);
}

TEST(ParquetSource, TakesSmallerStepsWhereADictionaryUnfolds) {
  // 2,000 rows name one string of 64 KiB: 128 MB decoded, 70 kB encoded.
  arrow::StringBuilder builder;
  const std::string text(64 << 10, 'x');
  for (int row = 0; row < 2000; ++row) ASSERT_TRUE(builder.Append(text).ok());
  const BatchPtr batch = BatchOf({"text"}, {builder.Finish().ValueOrDie()});
  auto source = std::make_shared<arrow::io::BufferReader>(
      arrow::Buffer::FromString(ParquetBody({batch}, {.compressed = true})));
  auto reader = OpenParquet(source, {.piece_bytes_max = 64 << 20}).ValueOrDie();
  int64_t rows = 0;
  for (BatchPtr piece; reader->ReadNext(&piece).ok() && piece != nullptr;) {
    rows += piece->num_rows();
  }
  EXPECT_EQ(rows, 2000);
}

// Thrift's compact protocol, as much as hand-made footers need.
std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
std::string ListHead(int type, uint64_t count) {
  return static_cast<char>(0xf0 | type) + Varint(count);
}
std::string FileOf(const std::string& footer) {
  const auto length = static_cast<uint32_t>(footer.size());
  std::string bytes = "PAR1" + footer;
  bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes + "PAR1";
}
constexpr int kStruct = 12;
constexpr int kList = 9;

TEST(ParquetSource, RefusesFootersThatClaimMoreThanTheyHold) {
  const std::string version("\x15\x02", 2);
  const std::string element(
      "\x48\x01"
      "a\x00",
      4);  // a schema element named "a"
  const auto schema_of = [&](uint64_t count) {
    return "\x19" + ListHead(kStruct, count) + element;
  };
  const std::string no_rows("\x16\x00", 2);
  const std::vector<std::string> footers = {
      version + schema_of(1'000'000),
      version + schema_of(1) + no_rows + "\x19" + ListHead(kStruct, 1'000'000),
      version + schema_of(1) + no_rows + "\x19" + ListHead(kStruct, 1) + "\x19" +
          ListHead(kStruct, 1'000'000),
      std::string(100'000, '\x1c'),                    // structs in structs
      "\x19" + std::string(100'000, '\x19') + "\x13",  // lists in lists
  };
  for (const std::string& footer : footers) {
    const int64_t before = samples::ResidentBytes();
    const auto reader = OpenParquetBody(FileOf(footer));
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kInvalidArgument) << reader.status();
    EXPECT_LT(samples::ResidentBytes() - before, int64_t{32} << 20);
  }
}

TEST(ParquetSource, RefusesAFooterThatUnpacksToMuch) {
  // A million column chunks of three bytes each.
  std::string footer("\x15\x02", 2);
  footer += "\x19" + ListHead(kStruct, 1) +
            std::string(
                "\x48\x01"
                "a\x00",
                4) +
            std::string("\x16\x00", 2) + "\x19" + ListHead(kStruct, 1) + "\x19" +
            ListHead(kStruct, 1'000'000);
  for (int chunk = 0; chunk < 1'000'000; ++chunk) footer.append("\x26\x00\x00", 3);
  footer.append(3, '\0');
  const int64_t before = samples::ResidentBytes();
  const auto reader = OpenParquetBody(FileOf(footer));
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kTooLarge) << reader.status();
  EXPECT_LT(samples::ResidentBytes() - before, int64_t{64} << 20);
}

TEST(ParquetSource, StaysInsideItsBudgetOnAListBomb) {
  // Half a billion nulls in eight lists: a few hundred bytes of Parquet.
  const int64_t count = int64_t{60} << 20;
  auto nulls = arrow::MakeArrayOfNull(arrow::int8(), count).ValueOrDie();
  std::vector<int32_t> offsets = {0, static_cast<int32_t>(count)};
  const BatchPtr batch = BatchOf(
      {"list"}, {std::make_shared<arrow::ListArray>(arrow::list(arrow::int8()), 1,
                                                    arrow::Buffer::FromVector(offsets), nulls)});
  const std::string body = ParquetBody({batch}, {.compressed = true});
  EXPECT_LT(body.size(), size_t{1} << 20);
  nulls.reset();
  const auto read = ReadAll(OpenParquetBody(body));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(CodeOf(read.status()), ErrorCode::kTooLarge) << read.status();
}

TEST(ParquetSource, StaysInsideItsBudgetOnADictionaryBomb) {
  // A thousand rows name one string of a megabyte; 128 at once are still too many for the limit.
  arrow::StringBuilder builder;
  const std::string text(1 << 20, 'x');
  for (int row = 0; row < 1000; ++row) ASSERT_TRUE(builder.Append(text).ok());
  const BatchPtr batch = BatchOf({"text"}, {builder.Finish().ValueOrDie()});
  const std::string body = ParquetBody({batch}, {.compressed = true});
  EXPECT_LT(body.size(), size_t{1} << 20);
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(body));
  const auto read = ReadAll(OpenParquet(source, {.piece_bytes_max = 64 << 20}));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(CodeOf(read.status()), ErrorCode::kTooLarge) << read.status();
}

}  // namespace
}  // namespace fletching::ingest
