// A segment that is only partly here gives the same answers, fetches what a look-up needs together,
// and shows nothing that its checksums do not vouch for.
#include <numeric>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "segment/test_segment.h"

namespace fletching::segment {
namespace {

constexpr int64_t kRows = 50'000;

// Long rows: blocks of rows, index and texts are many.
class PartialSegment : public testing::Test {
 protected:
  static std::string TextOf(int64_t i) {
    return std::to_string(i) + std::string(static_cast<size_t>(i % 200), 'x');
  }
  static std::shared_ptr<arrow::Array> Every(int64_t step) {
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < kRows; i += step) ids.push_back(i);
    return Numbers(ids);
  }
  static Segment Make() {
    std::vector<int64_t> ids(kRows);
    std::iota(ids.begin(), ids.end(), 0);
    std::vector<std::string> texts;
    for (const int64_t id : ids) texts.push_back(TextOf(id));
    return Segment({.key_width = 8,
                    .columns = {{.column_id = 1, .type = arrow::int64()},
                                {.column_id = 2, .type = arrow::utf8()},
                                {.column_id = 3,
                                 .type = arrow::int64(),
                                 .encoding = format::Encoding::kSparse}}},
                   {{Numbers(ids)}}, {{Numbers(ids), Texts(texts), Numbers(ids)}});
  }

  Segment segment_ = Make();
  std::shared_ptr<PartialCopy> file_ = segment_.MakePartial();
  int64_t found_count_ = 0;
};

TEST_F(PartialSegment, BringsWhatALookUpNeedsInThreeFetches) {
  const auto reader = SegmentReader::Open(file_).ValueOrDie();
  EXPECT_LE(file_->fetch_count, 2);
  file_->fetch_count = 0;
  const auto keys = Every(1000);
  const auto texts = ReadColumn(*reader, {keys}, 2, arrow::utf8(), &found_count_).ValueOrDie();
  EXPECT_EQ(found_count_, 50);
  for (int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(static_cast<const arrow::StringArray&>(*texts).GetString(i), TextOf(i * 1000));
  }
  EXPECT_LE(file_->fetch_count, 3);  // buckets, rows, texts
  EXPECT_LT(file_->fetched_bytes, file_->bytes().size() / 4);
  EXPECT_EQ(file_->hit_count, 0);
  // Again: all of it is here.
  file_->fetch_count = 0;
  ASSERT_TRUE(ReadColumn(*reader, {keys}, 2, arrow::utf8(), &found_count_).ok());
  EXPECT_EQ(file_->fetch_count, 0);
  EXPECT_EQ(file_->hit_count, 1);
}

TEST_F(PartialSegment, AbsentKeysNeedNoRows) {
  const auto reader = SegmentReader::Open(file_).ValueOrDie();
  file_->fetch_count = 0;
  const auto keys = Numbers({kRows + 1, kRows + 2, kRows + 3});
  ASSERT_TRUE(ReadColumn(*reader, {keys}, 1, arrow::int64(), &found_count_).ok());
  EXPECT_EQ(found_count_, 0);
  EXPECT_EQ(file_->fetch_count, 1);
}

TEST_F(PartialSegment, ASecondReaderTrustsWhatChecksumsVouchFor) {
  const auto keys = Every(100);
  const auto first = SegmentReader::Open(file_).ValueOrDie();
  ASSERT_TRUE(ReadColumn(*first, {keys}, 1, arrow::int64(), &found_count_).ok());
  file_->fetch_count = 0;
  file_->Damage(first->footer().row_offset + 17);
  const auto second = SegmentReader::Open(file_).ValueOrDie();
  EXPECT_EQ(file_->fetch_count, 0);
  const auto read = ReadColumn(*second, {keys}, 1, arrow::int64(), &found_count_).ValueOrDie();
  EXPECT_TRUE(read->Equals(keys));
  EXPECT_EQ(file_->fetch_count, 1);  // of the damaged block
}

TEST_F(PartialSegment, EndsThatAPowerLossLeftAreFetchedAgain) {
  ASSERT_TRUE(SegmentReader::Open(file_).ok());
  file_->Damage(file_->bytes().size() - 20);
  file_->fetch_count = 0;
  EXPECT_TRUE(SegmentReader::Open(file_).ok());
  EXPECT_GT(file_->fetch_count, 0);
}

TEST_F(PartialSegment, WhatArrivesDamagedIsRefusedAndNotKept) {
  const auto reader = SegmentReader::Open(file_).ValueOrDie();
  file_->damage_at = reader->footer().index_offset;
  const auto refused = ReadColumn(*reader, {Every(1)}, 1, arrow::int64(), &found_count_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(CodeOf(refused.status()), ErrorCode::kCorruption);
  file_->damage_at = UINT64_MAX;
  EXPECT_TRUE(ReadColumn(*reader, {Every(1)}, 1, arrow::int64(), &found_count_)
                  .ValueOrDie()
                  ->Equals(Every(1)));
}

TEST_F(PartialSegment, TroubleIsAnErrorAndNoHalfAnswer) {
  const auto reader = SegmentReader::Open(file_).ValueOrDie();
  file_->trouble = Unavailable("the store is away");
  const auto keys = Every(5000);
  const auto away = ReadColumn(*reader, {keys}, 1, arrow::int64(), &found_count_);
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.status().message(), "the store is away");
  file_->trouble = Status::OK();
  EXPECT_TRUE(ReadColumn(*reader, {keys}, 1, arrow::int64(), &found_count_).ok());
  file_->trouble = Unavailable("the store is away");  // sparse columns have data of their own
  EXPECT_FALSE(ReadColumn(*reader, {keys}, 3, arrow::int64(), &found_count_).ok());
}

TEST_F(PartialSegment, AScanBringsLongStretches) {
  const auto reader = SegmentReader::Open(file_).ValueOrDie();
  file_->fetch_count = 0;
  std::vector<ByteSpan> keys;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  int64_t scanned = 0;
  for (uint64_t cursor = 0; cursor < reader->end_address();) {
    ASSERT_TRUE(reader->Scan(&cursor, 1000, &keys, &bodies, &rows).ok());
    scanned += static_cast<int64_t>(keys.size());
  }
  EXPECT_EQ(scanned, kRows);
  EXPECT_LE(file_->fetch_count, 4);
  EXPECT_TRUE(reader->VerifyAll().ok());
}

TEST_F(PartialSegment, NeighboursComeTogether) {
  const auto reader = SegmentReader::Open(file_).ValueOrDie();
  file_->range_count = 0;
  ASSERT_TRUE(ReadColumn(*reader, {Every(1)}, 1, arrow::int64(), &found_count_).ok());
  EXPECT_LE(file_->range_count, 4);  // the index, the rows, and what lies across an edge
}

}  // namespace
}  // namespace fletching::segment
