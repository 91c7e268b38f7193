// A log is read back as far as it was acknowledged: torn ends are dropped, holes are errors.
#include "table/log.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "format/file_names.h"
#include "io/fault_file_system.h"
#include "io/sim_file_system.h"

namespace fletching::table {
namespace {

using format::FrameHeader;
using format::LogHeader;
using format::RecordHeader;

constexpr uint64_t kSalt = 0x5a17;

// A log of three frames; the second holds two records.
struct Sample {
  std::vector<uint8_t> bytes;  // up to the end of the last frame
  size_t file_bytes = 0;
  std::vector<uint64_t> frame_ends;
};

LogRecord Record(uint64_t commit, const std::vector<uint8_t>& payload) {
  return {RecordHeader{1, 0, commit, 0, 1, payload.size()}, payload};
}

Sample MakeSample(uint64_t salt = kSalt) {
  io::SimFileSystem disk;
  auto log = LogWriter::Create(&disk, "", 4, 2, 700, salt, true).ValueOrDie();
  Sample sample;
  const std::vector<uint8_t> payload(40, 'x');
  const std::vector<uint8_t> empty;
  const std::vector<std::vector<LogRecord>> groups = {
      {Record(1, payload)}, {Record(2, payload), Record(3, empty)}, {Record(4, payload)}};
  for (const std::vector<LogRecord>& group : groups) {
    EXPECT_TRUE(log->Append(group).ok());
    sample.frame_ends.push_back(log->valid_bytes());
  }
  const auto file = disk.Map("/" + format::LogFileName(4)).ValueOrDie();
  const ByteSpan frames = file->bytes().first(log->valid_bytes());
  sample.bytes.assign(frames.begin(), frames.end());
  sample.file_bytes = file->bytes().size();
  return sample;
}

// Commits of the records, or the error.
Result<std::vector<uint64_t>> Read(ByteSpan bytes, uint64_t must_be_valid_bytes,
                                   uint64_t* valid_bytes = nullptr) {
  std::vector<uint64_t> commits;
  ARROW_ASSIGN_OR_RAISE(const LogImage image,
                        ReadLog(bytes, "l.fllog", must_be_valid_bytes,
                                [&](const RecordHeader& header, ByteSpan payload, uint64_t) {
                                  EXPECT_EQ(payload.size(), header.payload_bytes);
                                  commits.push_back(header.commit);
                                  return Status::OK();
                                }));
  if (valid_bytes != nullptr) *valid_bytes = image.valid_bytes;
  return commits;
}

TEST(Log, ReadsBackWhatWasAppended) {
  const Sample sample = MakeSample();
  uint64_t valid_bytes = 0;
  EXPECT_EQ(*Read(sample.bytes, 0, &valid_bytes), (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(valid_bytes, sample.bytes.size());
  const auto header = ReadLogHeader(sample.bytes, "l");
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->previous_log_number, 2u);
  EXPECT_EQ(header->previous_valid_bytes, 700u);
}

TEST(Log, EndsBeforeTheSpaceItReserved) {
  Sample sample = MakeSample();
  ASSERT_GT(sample.file_bytes, sample.bytes.size());
  const size_t end = sample.bytes.size();
  sample.bytes.resize(sample.file_bytes);
  uint64_t valid_bytes = 0;
  EXPECT_EQ(*Read(sample.bytes, 0, &valid_bytes), (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(valid_bytes, end);
  EXPECT_EQ(*Read(sample.bytes, end, &valid_bytes), (std::vector<uint64_t>{1, 2, 3, 4}));
}

TEST(Log, GoesOnWhenNoSpaceCanBeReserved) {
  io::SimFileSystem disk;
  io::FaultFileSystem fault(&disk);
  auto log = LogWriter::Create(&fault, "", 4, 2, 700, kSalt, true).ValueOrDie();
  fault.SetPlan({.at = 1, .kinds = {io::IoCall::kReserve}, .from_then_on = true});
  const std::vector<uint8_t> payload(40, 'x');
  for (uint64_t commit = 1; commit <= 3; ++commit) {
    EXPECT_TRUE(log->Append({Record(commit, payload)}).ok());
  }
  EXPECT_TRUE(fault.fired());
  const auto file = disk.Map("/" + format::LogFileName(4)).ValueOrDie();
  EXPECT_EQ(file->bytes().size(), log->valid_bytes());
  EXPECT_EQ(*Read(file->bytes(), 0), (std::vector<uint64_t>{1, 2, 3}));
}

TEST(Log, DropsATornEndWhereverItIsTorn) {
  const Sample sample = MakeSample();
  for (size_t bytes = sizeof(LogHeader); bytes < sample.bytes.size(); ++bytes) {
    for (const bool is_longer : {false, true}) {  // than what reached the disk
      std::vector<uint8_t> torn(sample.bytes.begin(),
                                sample.bytes.begin() + static_cast<ptrdiff_t>(bytes));
      if (is_longer) torn.resize(sample.bytes.size() + 100, 0xee);
      std::vector<uint64_t> expected;
      if (bytes >= sample.frame_ends[0]) expected = {1};
      if (bytes >= sample.frame_ends[1]) expected = {1, 2, 3};
      uint64_t valid_bytes = 0;
      const auto commits = Read(torn, 0, &valid_bytes);
      ASSERT_TRUE(commits.ok()) << bytes << ": " << commits.status();
      EXPECT_EQ(*commits, expected) << bytes;
      EXPECT_LE(valid_bytes, bytes);
    }
  }
}

TEST(Log, TakesAHoleBeforeAGoodFrameForDamage) {
  const Sample sample = MakeSample();
  for (size_t at = sizeof(LogHeader); at < sample.frame_ends[1]; ++at) {
    std::vector<uint8_t> bytes = sample.bytes;
    bytes[at] ^= 4;
    const auto commits = Read(bytes, 0);
    ASSERT_FALSE(commits.ok()) << at;
    EXPECT_EQ(CodeOf(commits.status()), ErrorCode::kCorruption);
    EXPECT_NE(commits.status().message().find("l.fllog: offset "), std::string::npos);
  }
}

TEST(Log, HoldsToWhatALaterLogVouchesFor) {
  const Sample sample = MakeSample();
  EXPECT_EQ(*Read(sample.bytes, sample.frame_ends[1]), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(*Read(sample.bytes, sizeof(LogHeader)), std::vector<uint64_t>{});
  std::vector<uint8_t> bytes = sample.bytes;
  bytes[sample.frame_ends[2] - 1] ^= 1;
  EXPECT_TRUE(Read(bytes, 0).ok());  // a torn end
  EXPECT_FALSE(Read(bytes, sample.frame_ends[2]).ok());
  bytes.resize(sample.frame_ends[1]);
  EXPECT_FALSE(Read(bytes, sample.frame_ends[2]).ok());
}

TEST(Log, PassesOverFramesOfAnotherLog) {
  Sample sample = MakeSample();
  // The last frame again, as the blocks of a removed file may hold it: right in itself, but not the
  // next one of this log.
  sample.bytes.insert(sample.bytes.end(),
                      sample.bytes.begin() + static_cast<ptrdiff_t>(sample.frame_ends[1]),
                      sample.bytes.begin() + static_cast<ptrdiff_t>(sample.frame_ends[2]));
  uint64_t valid_bytes = 0;
  EXPECT_EQ(*Read(sample.bytes, 0, &valid_bytes), (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(valid_bytes, sample.frame_ends[2]);
  // Where only the salt tells: of another log the very frame that would be next.
  Sample other = MakeSample(kSalt + 1);
  std::copy_n(sample.bytes.begin(), sample.frame_ends[1], other.bytes.begin());
  EXPECT_EQ(*Read(other.bytes, 0, &valid_bytes), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(valid_bytes, sample.frame_ends[1]);
}

TEST(Log, OfANewerVersionIsNamedSo) {
  Sample sample = MakeSample();
  StoreAs(sample.bytes.data() + offsetof(LogHeader, version), uint32_t{9});
  EXPECT_EQ(CodeOf(ReadLogHeader(sample.bytes, "l").status()), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace fletching::table
