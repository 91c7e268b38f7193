#include "ingest/spooled_body.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <unistd.h>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/memory_pool.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include <gtest/gtest.h>

#include "ingest/budget.h"
#include "ingest/sources.h"
#include "ingest/test_samples.h"

namespace fletching::ingest {
namespace {

using samples::BatchPtr;

// Opens a spooled copy of `body`; the file is gone again when this returns.
std::shared_ptr<arrow::io::RandomAccessFile> Spool(const std::string& body) {
  const std::string path = testing::TempDir() + "spooled_body_test." + std::to_string(getpid());
  std::ofstream(path, std::ios::binary) << body;
  auto source = OpenSpooledBody(path);
  std::remove(path.c_str());
  EXPECT_TRUE(source.ok()) << source.status();
  return *source;
}

TEST(SpooledBody, ServesBothFormats) {
  const BatchPtr batch = samples::EveryType();
  const auto nans_equal = arrow::EqualOptions::Defaults().nans_equal(true);
  const auto stream =
      samples::ReadAll(OpenIpcStream(Spool(samples::IpcBody({batch})), DecodeLimits{}));
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_TRUE((*stream)->Equals(*batch, false, nans_equal));
  const auto parquet =
      samples::ReadAll(OpenParquet(Spool(samples::ParquetBody({batch})), DecodeLimits{}));
  ASSERT_TRUE(parquet.ok()) << parquet.status();
  EXPECT_EQ((*parquet)->num_rows(), batch->num_rows());
}

TEST(SpooledBody, ServesAnEmptyFileAndNamesAMissingOne) {
  EXPECT_EQ(*Spool("")->GetSize(), 0);
  EXPECT_FALSE(OpenIpcStream(Spool(""), DecodeLimits{}).ok());
  const auto missing = OpenSpooledBody("/nowhere/body");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(CodeOf(missing.status()), ErrorCode::kUnavailable);
  EXPECT_NE(missing.status().message().find("/nowhere/body"), std::string::npos);
}

TEST(SpooledBody, KeepsBytesThatWereForgotten) {
  const auto source = Spool(std::string(100'000, 'a') + "end");
  const auto bytes = *source->ReadAt(0, 100'003);
  ForgetReadPages(*source);
  EXPECT_EQ(bytes->ToString().substr(99'999), "aend");
}

TEST(SpooledBody, ABatchLargerThanTheBudgetIsReadWithoutHoldingIt) {
  const int64_t rows = 8 << 20;  // 128 MiB
  std::vector<int64_t> values(static_cast<size_t>(rows), 7);
  const auto bytes = arrow::Buffer::FromVector(std::move(values));
  const auto column = std::make_shared<arrow::Int64Array>(rows, bytes);
  const auto source = Spool(samples::IpcBody({samples::BatchOf({"a", "b"}, {column, column})}));
  const int64_t before = samples::ResidentBytes();
  auto reader = OpenIpcStream(source, {.piece_bytes_max = 1 << 20}).ValueOrDie();
  int64_t sum = 0;
  int64_t most = 0;
  for (BatchPtr batch; reader->ReadNext(&batch).ok() && batch != nullptr;) {
    for (const auto& array : batch->columns()) {
      const auto& numbers = static_cast<const arrow::Int64Array&>(*array);
      for (int64_t row = 0; row < numbers.length(); ++row) sum += numbers.Value(row);
    }
    most = std::max(most, samples::ResidentBytes() - before);
  }
  EXPECT_EQ(sum, 2 * 7 * rows);
  EXPECT_LT(most, int64_t{64} << 20);
}

TEST(Budget, RefusesWhatIsTooMuchAndRemembersIt) {
  const Budget budget(1000);
  auto first = arrow::AllocateBuffer(600, budget.pool());
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(budget.refused_bytes(), 0);
  const auto second = arrow::AllocateBuffer(int64_t{1} << 50, budget.pool());
  EXPECT_TRUE(second.status().IsOutOfMemory()) << second.status();
  EXPECT_EQ(budget.refused_bytes(), int64_t{1} << 50);
  EXPECT_EQ(CodeOf(BodyError("Body", Status::Invalid("other words"), budget)),
            ErrorCode::kTooLarge);
  first->reset();
  EXPECT_EQ(budget.held_bytes(), 0);
}

TEST(Budget, PoolOutlivesItsOwnerWhileABufferNeedsIt) {
  std::shared_ptr<arrow::Buffer> buffer;
  {
    const Budget budget(1000);
    buffer = arrow::AllocateBuffer(100, budget.pool()).ValueOrDie();
  }
  buffer.reset();  // under ASan: neither a leak nor a use after free
}

TEST(Budget, WritesSizesShort) {
  EXPECT_EQ(ByteText(1000), "1000 bytes");
  EXPECT_EQ(ByteText(256 << 20), "256 MiB");
  EXPECT_EQ(ByteText(int64_t{1} << 40), "1 TiB");
  EXPECT_EQ(ByteText(12'345'678), "11 MiB");
}

}  // namespace
}  // namespace fletching::ingest
