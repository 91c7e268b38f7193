#include "store/partial_file.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "io/file.h"
#include "io/test_folder.h"

namespace fletching::store {
namespace {

constexpr uint64_t kChunk = 1000;

class PartialFileTest : public testing::Test {
 protected:
  PartialFileTest() {
    for (size_t i = 0; i < content_.size(); ++i)
      content_[i] = static_cast<uint8_t>(i * 7 + i / 256);
  }

  ByteSpan Chunk(uint64_t index) const {
    const uint64_t begin = index * kChunk;
    return ByteSpan(content_).subspan(begin, std::min(kChunk, content_.size() - begin));
  }
  std::unique_ptr<PartialFile> Open(const std::string& etag = "\"e1\"") {
    return PartialFile::Open(path_, content_.size(), kChunk, etag).ValueOrDie();
  }
  // Writes what is missing and says which that was.
  std::vector<uint64_t> FillAndFinish(PartialFile* file) {
    std::vector<uint64_t> missing;
    for (uint64_t i = 0; i < file->chunk_count(); ++i) {
      if (file->HasChunk(i)) continue;
      missing.push_back(i);
      EXPECT_TRUE(file->WriteChunk(i, Chunk(i)).ok());
    }
    EXPECT_TRUE(file->Finish(false).ok());
    return missing;
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  void ExpectWhole() {
    EXPECT_EQ(Read(path_), std::string(content_.begin(), content_.end()));
    EXPECT_FALSE(io::PosixFileSystem()->Exists(path_ + ".part"));
    EXPECT_FALSE(io::PosixFileSystem()->Exists(path_ + ".part.state"));
  }

  io::TestFolder folder_;
  const std::string path_ = folder_ / "segment";
  std::vector<uint8_t> content_ = std::vector<uint8_t>(5500);
};

TEST_F(PartialFileTest, TakesChunksInAnyOrder) {
  const auto file = Open();
  ASSERT_EQ(file->chunk_count(), 6u);
  for (const uint64_t i : {5, 0, 3, 4, 1, 2}) ASSERT_TRUE(file->WriteChunk(i, Chunk(i)).ok());
  EXPECT_FALSE(io::PosixFileSystem()->Exists(path_));
  ASSERT_TRUE(file->Finish(true).ok());
  ExpectWhole();
}

TEST_F(PartialFileTest, GoesOnWithWhatIsThere) {
  for (const uint64_t i : {4, 1}) ASSERT_TRUE(Open()->WriteChunk(i, Chunk(i)).ok());
  EXPECT_EQ(FillAndFinish(Open().get()), (std::vector<uint64_t>{0, 2, 3, 5}));
  ExpectWhole();
}

TEST_F(PartialFileTest, BeginsAnewForAnotherObject) {
  ASSERT_TRUE(Open("\"e1\"")->WriteChunk(0, Chunk(1)).ok());
  EXPECT_EQ(FillAndFinish(Open("\"e2\"").get()).size(), 6u);
  ExpectWhole();
}

TEST_F(PartialFileTest, IsLockedWhileOpen) {
  const auto file = Open();
  const auto second = PartialFile::Open(path_, content_.size(), kChunk, "\"e1\"");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(CodeOf(second.status()), ErrorCode::kLocked);
}

TEST_F(PartialFileTest, ForgetsAChunkWhoseBytesAreNotThere) {
  {
    const auto file = Open();
    for (const uint64_t i : {0, 1, 2}) ASSERT_TRUE(file->WriteChunk(i, Chunk(i)).ok());
  }
  std::string part = Read(path_ + ".part");
  std::fill_n(part.begin() + 1500, 10, '\0');  // as after a power loss
  Write(path_ + ".part", part);
  EXPECT_EQ(FillAndFinish(Open().get()), (std::vector<uint64_t>{1, 3, 4, 5}));
  ExpectWhole();
}

TEST_F(PartialFileTest, BelievesNoStateCutAtAnyByte) {
  {
    const auto file = Open();
    for (const uint64_t i : {0, 1, 2}) ASSERT_TRUE(file->WriteChunk(i, Chunk(i)).ok());
  }
  const std::string part = Read(path_ + ".part");
  const std::string state = Read(path_ + ".part.state");
  for (size_t bytes = 0; bytes <= state.size(); ++bytes) {
    Write(path_ + ".part", part);
    Write(path_ + ".part.state", state.substr(0, bytes));
    FillAndFinish(Open().get());
    ExpectWhole();
  }
}

TEST_F(PartialFileTest, BelievesNoDamagedState) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  {
    const auto file = Open();
    for (const uint64_t i : {0, 1, 2, 3}) ASSERT_TRUE(file->WriteChunk(i, Chunk(i)).ok());
  }
  const std::string part = Read(path_ + ".part");
  const std::string state = Read(path_ + ".part.state");
  for (int round = 0; round < 300; ++round) {
    std::string bad_part = part;
    std::string bad_state = state;
    for (int i = 0; i < 3; ++i) {
      bad_state[random() % bad_state.size()] ^= static_cast<char>(1 + random() % 127);
      bad_part[random() % bad_part.size()] ^= static_cast<char>(1 + random() % 127);
    }
    Write(path_ + ".part", bad_part);
    Write(path_ + ".part.state", bad_state);
    FillAndFinish(Open().get());
    ExpectWhole();
  }
}

TEST_F(PartialFileTest, MayBeEmpty) {
  const auto file = PartialFile::Open(path_, 0, kChunk, "\"e\"").ValueOrDie();
  EXPECT_EQ(file->chunk_count(), 0u);
  ASSERT_TRUE(file->Finish(false).ok());
  EXPECT_EQ(Read(path_), "");
}

}  // namespace
}  // namespace fletching::store
