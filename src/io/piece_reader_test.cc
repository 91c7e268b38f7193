// Pieces of a real file, by io_uring and through the mapping: the same bytes, whatever their order,
// length and number, and an error that names the file when it was cut short.
#include "io/piece_reader.h"

#include <filesystem>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "io/test_folder.h"

namespace fletching::io {
namespace {

constexpr uint64_t kPiece = MappedFile::kPieceBytes;
constexpr uint64_t kFileBytes = 3000 * kPiece + 1234;

class PieceReaderTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    content_.resize(kFileBytes);
    std::mt19937_64 random(1);
    for (size_t i = 0; i + 8 <= content_.size(); i += 8) StoreAs(content_.data() + i, random());
    auto file = PosixFileSystem()->Create(path_).ValueOrDie();
    ASSERT_TRUE(file->Append(content_).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(file->Close().ok());
    file_ = PosixFileSystem()->Map(path_).ValueOrDie();
    file_->OpenDirect();
  }

  FileRange RandomRange(std::mt19937_64* random, uint64_t pieces_max) const {
    const uint64_t begin = (*random)() % (kFileBytes / kPiece + 1) * kPiece;
    const uint64_t size = (1 + (*random)() % pieces_max) * kPiece;
    return {begin, std::min(size, kFileBytes - begin)};
  }

  Status ReadAndCompare(std::span<const FileRange> ranges) {
    std::vector<int> seen(ranges.size());
    ARROW_RETURN_NOT_OK(reader_.Read(*file_, ranges, [&](size_t i, ByteSpan bytes) -> Status {
      ++seen[i];
      EXPECT_EQ(bytes.size(), ranges[i].size_bytes);
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(),
                             content_.begin() + static_cast<ptrdiff_t>(ranges[i].offset_bytes)));
      return Status::OK();
    }));
    EXPECT_EQ(seen, std::vector<int>(ranges.size(), 1));
    return Status::OK();
  }

  TestFolder folder_;
  const std::string path_ = folder_.path() + "/pieces";
  std::vector<uint8_t> content_;
  std::shared_ptr<MappedFile> file_;
  PieceReader reader_{2, GetParam()};
};

TEST_P(PieceReaderTest, ReadsWhatStandsThere) {
  std::mt19937_64 random(2);
  for (const size_t count : {0, 1, 2, 255, 256, 257, 3000}) {
    std::vector<FileRange> ranges;
    for (size_t i = 0; i < count; ++i) ranges.push_back(RandomRange(&random, i % 50 == 0 ? 40 : 3));
    ASSERT_TRUE(ReadAndCompare(ranges).ok());
  }
}

TEST_P(PieceReaderTest, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      for (int round = 0; round < 5; ++round) {
        std::vector<FileRange> ranges;
        for (int i = 0; i < 100; ++i) ranges.push_back(RandomRange(&random, 3));
        EXPECT_TRUE(ReadAndCompare(ranges).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(PieceReaderTest, AnErrorOfTheCallerEndsIt) {
  const std::vector<FileRange> ranges(1000, FileRange{0, kPiece});
  int count = 0;
  const Status status = reader_.Read(*file_, ranges, [&](size_t, ByteSpan) -> Status {
    return ++count == 300 ? Unavailable("enough") : Status::OK();
  });
  EXPECT_NE(status.ToString().find("enough"), std::string::npos);
  EXPECT_EQ(count, 300);
  EXPECT_TRUE(ReadAndCompare(ranges).ok());  // the next read is none the worse
}

TEST_P(PieceReaderTest, AFileThatWasCutShortIsNamed) {
  std::filesystem::resize_file(path_, 1000 * kPiece + 100);
  std::vector<FileRange> ranges;
  for (uint64_t piece = 0; piece < 2000; piece += 10) ranges.push_back({piece * kPiece, kPiece});
  uint64_t sum = 0;
  const Status status = reader_.Read(*file_, ranges, [&](size_t, ByteSpan bytes) {
    for (const uint8_t byte : bytes) sum += byte;  // a mapping says nothing before it is looked at
    return Status::OK();
  });
  EXPECT_LT(sum, UINT64_MAX);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), ErrorCode::kUnavailable);
  EXPECT_NE(status.ToString().find(path_), std::string::npos) << status.ToString();
}

INSTANTIATE_TEST_SUITE_P(All, PieceReaderTest, testing::Bool(),
                         [](const auto& run) { return run.param ? "uring" : "mapping"; });

}  // namespace
}  // namespace fletching::io
