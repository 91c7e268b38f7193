#include "api/http/body_spool.h"

#include <dirent.h>
#include <stdlib.h>
#include <string>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include <gtest/gtest.h>

namespace fletching::http {
namespace {

class BodySpoolTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "/spool-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    limits_.folder = name;
    limits_.memory_bytes_max = 4 << 20;
  }
  void TearDown() override { rmdir(limits_.folder.c_str()); }

  // Appends as a connection does: flushes whenever asked to.
  api::Body Spool(std::string_view text, size_t piece) {
    BodySpool spool(&limits_);
    EXPECT_TRUE(spool.Expect(static_cast<int64_t>(text.size())).ok());
    for (size_t at = 0; at < text.size(); at += piece) {
      EXPECT_TRUE(spool.Append(AsBytes(text.substr(at, piece))).ok());
      EXPECT_TRUE(!spool.NeedsFlush() || spool.Flush().ok());
    }
    EXPECT_EQ(spool.size_bytes(), static_cast<int64_t>(text.size()));
    auto body = spool.Finish();
    EXPECT_TRUE(body.ok()) << body.status();
    return body.ValueOr(api::Body{});
  }

  int FileCount() const {
    DIR* folder = opendir(limits_.folder.c_str());
    int count = 0;
    while (const dirent* entry = readdir(folder)) count += entry->d_name[0] != '.' ? 1 : 0;
    closedir(folder);
    return count;
  }

  SpoolLimits limits_;
};

std::string Noise(size_t bytes) {
  std::string text(bytes, '\0');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

TEST_F(BodySpoolTest, KeepsShortBodiesInMemory) {
  for (const size_t bytes : {0, 1, 100'000, 4 << 20}) {
    const std::string text = Noise(bytes);
    const api::Body body = Spool(text, 65'536);
    EXPECT_TRUE(body.in_memory());
    EXPECT_EQ(body.text(), text);
  }
}

TEST_F(BodySpoolTest, WritesLongBodiesToAFileWithoutAName) {
  const std::string text = Noise((4 << 20) + 12'345);
  for (const size_t piece : {1'000, 262'144, 6 << 20}) {
    const api::Body body = Spool(text, piece);
    ASSERT_FALSE(body.in_memory());
    EXPECT_EQ(*body.file->GetSize(), static_cast<int64_t>(text.size()));
    EXPECT_EQ((*body.file->ReadAt(0, body.size_bytes))->ToString(), text);
    EXPECT_EQ((*body.Loaded()).text(), text);
    EXPECT_EQ(FileCount(), 0);
  }
}

TEST_F(BodySpoolTest, TakesFilesSoonerWhenMemoryIsShort) {
  limits_.shared_memory_bytes_max = 512 * 1024;
  BodySpool first(&limits_);
  ASSERT_TRUE(first.Append(AsBytes(Noise(400'000))).ok());
  const api::Body second = Spool(Noise(1 << 20), 65'536);
  EXPECT_FALSE(second.in_memory());
  EXPECT_EQ((*second.Loaded()).text(), Noise(1 << 20));
}

TEST_F(BodySpoolTest, GivesItsShareOfMemoryBack) {
  {
    BodySpool spool(&limits_);
    ASSERT_TRUE(spool.Append(AsBytes(Noise(100'000))).ok());
    EXPECT_GE(limits_.shared_memory_bytes.load(), 100'000);
    BodySpool moved = std::move(spool);
    EXPECT_GE(limits_.shared_memory_bytes.load(), 100'000);
  }
  EXPECT_EQ(limits_.shared_memory_bytes.load(), 0);
  (void)Spool(Noise(6 << 20), 65'536);
  EXPECT_EQ(limits_.shared_memory_bytes.load(), 0);
}

TEST_F(BodySpoolTest, DoesNotBelieveAPromise) {
  BodySpool spool(&limits_);
  ASSERT_TRUE(spool.Expect(int64_t{1} << 40).ok());
  EXPECT_LE(limits_.shared_memory_bytes.load(), 1 << 20);
}

TEST_F(BodySpoolTest, OnlyCountsWhatNobodyWants) {
  BodySpool spool;
  ASSERT_TRUE(spool.Append(AsBytes(Noise(1000))).ok());
  EXPECT_EQ(spool.size_bytes(), 1000);
  EXPECT_EQ(spool.Finish()->size_bytes, 0);
}

TEST_F(BodySpoolTest, SaysWhenTheFolderIsGone) {
  limits_.folder += "/missing";
  BodySpool spool(&limits_);
  ASSERT_TRUE(spool.Append(AsBytes(Noise(6 << 20))).ok());
  ASSERT_TRUE(spool.NeedsFlush());
  EXPECT_EQ(CodeOf(spool.Flush()), ErrorCode::kUnavailable);
  limits_.folder.resize(limits_.folder.size() - 8);
}

}  // namespace
}  // namespace fletching::http
