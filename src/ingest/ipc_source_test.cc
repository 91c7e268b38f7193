#include <cstring>
#include <random>
#include <vector>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/compression.h"
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
using samples::IpcBody;
using samples::OpenIpc;
using samples::ReadAll;

const arrow::EqualOptions kNansEqual = arrow::EqualOptions::Defaults().nans_equal(true);

arrow::ipc::IpcWriteOptions Compressed(arrow::Compression::type codec) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.codec = arrow::util::Codec::Create(codec).ValueOrDie();
  return options;
}

// A source whose bytes cannot be shared, as a socket's or a pipe's.
class CopyingStream final : public arrow::io::InputStream {
 public:
  explicit CopyingStream(std::string bytes) : bytes_(std::move(bytes)) {}
  Status Close() override { return Status::OK(); }
  bool closed() const override { return false; }
  Result<int64_t> Tell() const override { return at_; }
  Result<int64_t> Read(int64_t count, void* out) override {
    const int64_t got = std::min<int64_t>(count, static_cast<int64_t>(bytes_.size()) - at_);
    std::memcpy(out, bytes_.data() + at_, static_cast<size_t>(got));
    at_ += got;
    return got;
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t) override {
    return Status::NotImplemented("would allocate as much as asked");
  }

 private:
  std::string bytes_;
  int64_t at_ = 0;
};

TEST(IpcSource, ReadsEveryTypeUnchanged) {
  const BatchPtr batch = EveryType();
  const auto read = ReadAll(OpenIpc(IpcBody({batch})));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE((*read)->Equals(*batch, false, kNansEqual)) << (*read)->ToString();
}

TEST(IpcSource, ReadsEveryBatchAndBothCodecs) {
  const BatchPtr batch = EveryType();
  for (const auto codec : {arrow::Compression::LZ4_FRAME, arrow::Compression::ZSTD}) {
    const std::string body = IpcBody({batch, batch->Slice(2), batch}, Compressed(codec));
    const auto read = ReadAll(OpenIpc(body));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ((*read)->num_rows(), 6 + 4 + 6);
    EXPECT_TRUE((*read)->Slice(0, 6)->Equals(*batch, false, kNansEqual));
  }
}

TEST(IpcSource, CopiesWhatItCannotShare) {
  const BatchPtr batch = EveryType();
  auto source = std::make_shared<CopyingStream>(IpcBody({batch, batch}));
  const auto read = ReadAll(OpenIpcStream(source, DecodeLimits{}));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->num_rows(), 12);
}

TEST(IpcSource, ReadsAStreamWithoutBatchesAndOneOfEmptyBatches) {
  const BatchPtr batch = EveryType();
  auto read = ReadAll(OpenIpc(IpcBody({batch->Slice(0, 0), batch->Slice(6)})));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->num_rows(), 0);
  EXPECT_EQ((*read)->num_columns(), batch->num_columns());
}

TEST(IpcSource, CutsLongBatches) {
  std::vector<int64_t> values(1000);
  auto bytes = arrow::Buffer::FromVector(values);
  const BatchPtr batch = BatchOf({"n"}, {std::make_shared<arrow::Int64Array>(1000, bytes)});
  auto source =
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(IpcBody({batch})));
  auto reader = OpenIpcStream(source, {.batch_rows_max = 300}).ValueOrDie();
  std::vector<int64_t> lengths;
  for (BatchPtr piece; reader->ReadNext(&piece).ok() && piece != nullptr;) {
    lengths.push_back(piece->num_rows());
  }
  EXPECT_EQ(lengths, (std::vector<int64_t>{300, 300, 300, 100}));
}

TEST(IpcSource, BatchesOutliveTheReader) {
  BatchPtr batch;
  {
    auto reader = OpenIpc(IpcBody({EveryType()}, Compressed(arrow::Compression::ZSTD)));
    ASSERT_TRUE((*reader)->ReadNext(&batch).ok());
  }
  EXPECT_TRUE(batch->Equals(*EveryType(), false, kNansEqual));
}

TEST(IpcSource, NamesTheFormatThatWasSentInstead) {
  const auto message = [](const std::string& body) { return OpenIpc(body).status().message(); };
  EXPECT_NE(message("").find("empty"), std::string::npos) << message("");
  EXPECT_NE(message("PAR1 and more").find("Parquet"), std::string::npos);
  EXPECT_NE(message("ARROW1\0\0 and").find("Arrow file"), std::string::npos);
  EXPECT_NE(message("{\"columns\": {}}").find("JSON"), std::string::npos);
  for (const char* body : {"", "P", "PAR1", "PAR1xxxx", "{\"columns\"", "ARROW1"}) {
    const auto reader = OpenIpc(body);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kInvalidArgument) << reader.status();
  }
}

TEST(IpcSource, RefusesAStreamCutAtEveryByte) {
  const std::string body = IpcBody({EveryType()->Slice(0, 2), EveryType()});
  int64_t complete = 0;
  for (size_t length = 0; length < body.size(); ++length) {
    const auto read = ReadAll(OpenIpc(body.substr(0, length)));
    // Without its end marker a stream may end between two messages.
    if (read.ok()) {
      ++complete;
    } else {
      EXPECT_EQ(CodeOf(read.status()), ErrorCode::kInvalidArgument) << length;
    }
  }
  EXPECT_LE(complete, 3 * 8);
}

TEST(IpcSource, RefusesBytesAfterTheEnd) {
  const std::string body = IpcBody({EveryType()});
  const auto read = ReadAll(OpenIpc(body + body));
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.status().message().find("one stream in a body"), std::string::npos);
}

TEST(IpcSource, SurvivesEveryFlippedBit) {
  const std::vector<std::string> bodies = {
      IpcBody({EveryType()->Slice(0, 3)}),
      IpcBody({EveryType()}, Compressed(arrow::Compression::LZ4_FRAME))};
  std::mt19937 random(7);  // which bit of each byte
  for (const std::string& body : bodies) {
    for (size_t at = 0; at < body.size(); ++at) {
      std::string damaged = body;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << (random() % 8)));
      samples::Digest(OpenIpc(damaged));
    }
  }
}

TEST(IpcSource, RefusesLengthsThatLie) {
  const std::string body = IpcBody({EveryType()});
  for (const int64_t lie : {int64_t{1} << 40, int64_t{1} << 62, int64_t{-1}, int64_t{0x7fffffff}}) {
    int64_t refused = 0;
    for (size_t at = 0; at + 8 <= body.size(); at += 8) {
      std::string damaged = body;
      std::memcpy(damaged.data() + at, &lie, 8);
      const int64_t before = samples::ResidentBytes();
      const auto read = ReadAll(OpenIpc(damaged));
      refused += read.ok() ? 0 : 1;
      EXPECT_LT(samples::ResidentBytes() - before, int64_t{128} << 20) << "offset " << at;
    }
    EXPECT_GT(refused, 50) << lie;
  }
}

TEST(IpcSource, RefusesALengthThatLiesWhenCopying) {
  std::string body = IpcBody({EveryType()});
  const int32_t lie = 0x7ffffff8;  // of the schema message
  std::memcpy(body.data() + 4, &lie, sizeof(lie));
  const auto reader = OpenIpcStream(std::make_shared<CopyingStream>(body), DecodeLimits{});
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kInvalidArgument) << reader.status();
}

TEST(IpcSource, RefusesABodyThatUnfoldsBeyondTheBudget) {
  const int64_t rows = int64_t{80} << 20;  // 640 MiB of zeros, a few kilobytes compressed
  auto zeros = arrow::AllocateBuffer(rows * 8).ValueOrDie();
  std::memset(zeros->mutable_data(), 0, static_cast<size_t>(zeros->size()));
  const BatchPtr batch =
      BatchOf({"n"}, {std::make_shared<arrow::Int64Array>(
                         rows, std::shared_ptr<arrow::Buffer>(std::move(zeros)))});
  const std::string body = IpcBody({batch}, Compressed(arrow::Compression::ZSTD));
  EXPECT_LT(body.size(), size_t{1} << 20);
  const auto read = ReadAll(OpenIpc(body));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(CodeOf(read.status()), ErrorCode::kTooLarge) << read.status();
  EXPECT_NE(read.status().message().find("smaller record batches"), std::string::npos);
}

TEST(IpcSource, RefusesRowsWithoutBytes) {
  auto nulls = std::make_shared<arrow::NullArray>(int64_t{1} << 50);
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.allow_64bit = true;
  const auto read = ReadAll(OpenIpc(IpcBody({BatchOf({"nothing"}, {nulls})}, options)));
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(CodeOf(read.status()), ErrorCode::kTooLarge) << read.status();
}

TEST(IpcSource, KeepsItsErrorAfterAFailure) {
  std::string body = IpcBody({EveryType(), EveryType()});
  body.resize(body.size() - 100);
  auto reader = OpenIpc(body).ValueOrDie();
  BatchPtr batch;
  ASSERT_TRUE(reader->ReadNext(&batch).ok());
  const Status first = reader->ReadNext(&batch);
  EXPECT_FALSE(first.ok());
  EXPECT_EQ(reader->ReadNext(&batch).message(), first.message());
}

}  // namespace
}  // namespace fletching::ingest
