// Segments whose rows do not fit into the memory budget: on a real disk, with and without io_uring.
// That their answers are those of any other is what every test of segment_roundtrip_test asks.
#include <filesystem>
#include <fstream>
#include <numeric>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "io/test_folder.h"
#include "segment/memory_budget.h"
#include "segment/test_segment.h"

namespace fletching::segment {
namespace {

constexpr int64_t kRows = 50'000;

class ColdSegment : public testing::TestWithParam<bool> {
 protected:
  static std::string TextOf(int64_t i) {
    return std::to_string(i) +
           std::string(static_cast<size_t>(i % 7 == 0 ? i % 20'000 : i % 60), 'x');
  }

  void SetUp() override {
    SegmentSpec spec;
    const std::vector<ColumnPlan> plans{{.column_id = 1, .type = arrow::int64()},
                                        {.column_id = 2, .type = arrow::utf8()}};
    spec.layout = PlaceColumns(8, plans, false);
    spec.hash_seed = kSeed;
    spec.column_names = {"number", "text"};
    auto writer = SegmentWriter::Create(io::PosixFileSystem(), path_, spec).ValueOrDie();
    std::vector<int64_t> ids(kRows);
    std::iota(ids.begin(), ids.end(), 0);
    std::vector<std::string> texts;
    for (const int64_t id : ids) texts.push_back(TextOf(id));
    const KeyBatch keys = EncodeKeys({Numbers(ids)}).ValueOrDie();
    RowBatch rows;
    rows.keys = &keys;
    rows.columns.push_back(MakePhysical(Numbers(ids)).ValueOrDie());
    rows.columns.push_back(MakePhysical(Texts(texts)).ValueOrDie());
    ASSERT_TRUE(writer->Append(rows).ok());
    ASSERT_TRUE(writer->Finish().ok());
    Open(0);
    const auto& footer = reader_->footer();
    Open(static_cast<int64_t>(reader_->file_bytes() - footer.row_bytes + footer.row_bytes / 4));
    ASSERT_GT(budget_->usage().cold_row_bytes, 0);
  }
  void Open(int64_t budget_bytes) {
    budget_ = std::make_shared<MemoryBudget>(budget_bytes, 0, nullptr, GetParam());
    reader_ =
        SegmentReader::Open(io::PosixFileSystem()->Map(path_).ValueOrDie(), budget_).ValueOrDie();
  }

  Status Check(const std::vector<int64_t>& ids) {
    int64_t found = 0;
    ARROW_ASSIGN_OR_RAISE(const auto texts,
                          ReadColumn(*reader_, {Numbers(ids)}, 2, arrow::utf8(), &found));
    int64_t expected = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const bool is_there = ids[i] < kRows;
      expected += is_there ? 1 : 0;
      EXPECT_EQ(texts->IsValid(static_cast<int64_t>(i)), is_there);
      if (!is_there) continue;
      EXPECT_EQ(static_cast<const arrow::StringArray&>(*texts).GetString(static_cast<int64_t>(i)),
                TextOf(ids[i]));
    }
    EXPECT_EQ(found, expected);
    return Status::OK();
  }

  io::TestFolder folder_;
  const std::string path_ = folder_.path() + "/segment";
  std::shared_ptr<MemoryBudget> budget_;
  std::shared_ptr<SegmentReader> reader_;
};

TEST_P(ColdSegment, AnswersAsAnyOther) {
  for (const int64_t count : {1, 2, 300, 3000}) {
    std::vector<int64_t> ids;
    for (int64_t i = 0; i < count; ++i) ids.push_back(i * 7919 % (kRows + kRows / 10));
    for (int time = 0; time < 2; ++time) ASSERT_TRUE(Check(ids).ok());
  }
  ASSERT_TRUE(Check({5, 5, 5, 14, 14}).ok());
}

TEST_P(ColdSegment, DamageIsNamedAndOnlyWhereItIs) {
  const uint64_t at = reader_->footer().row_offset + reader_->footer().row_bytes / 2;
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 1));
  }
  ASSERT_TRUE(Check({1, kRows - 1}).ok());
  std::vector<int64_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  const Status status = Check(all);
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruption);
  EXPECT_NE(status.ToString().find(path_), std::string::npos);
  EXPECT_NE(status.ToString().find(std::to_string(at / 4096 * 4096)), std::string::npos)
      << status.ToString() << " " << at;
}

TEST_P(ColdSegment, AFileThatWasCutShortIsNamed) {
  std::filesystem::resize_file(path_, 1 << 20);
  std::vector<int64_t> all(kRows);
  std::iota(all.begin(), all.end(), 0);
  const Status status = Check(all);
  const Status intact = reader_->CheckIntact();  // what a read asks, whatever came of it
  EXPECT_EQ(CodeOf(intact), ErrorCode::kUnavailable);
  EXPECT_FALSE(status.ok() && intact.ok());
}

TEST_P(ColdSegment, IsWarmWhenThereIsRoom) {
  Open(int64_t{1} << 30);
  EXPECT_EQ(budget_->usage().cold_row_bytes, 0);
  ASSERT_TRUE(Check({1, 2, 3, kRows}).ok());
  const int64_t one = budget_->usage().mapped_row_bytes;
  const auto another =
      SegmentReader::Open(io::PosixFileSystem()->Map(path_).ValueOrDie(), budget_).ValueOrDie();
  EXPECT_EQ(budget_->usage().mapped_row_bytes, 2 * one);
}

TEST_P(ColdSegment, TheSmallestAreKeptWhole) {
  // Room for the indexes of two and the rows of three: not for all four's.
  const auto rows = static_cast<int64_t>(reader_->footer().row_bytes);
  const auto index = static_cast<int64_t>(reader_->file_bytes()) - rows;
  reader_.reset();
  Open(2 * index + rows + rows / 2);
  auto other =
      SegmentReader::Open(io::PosixFileSystem()->Map(path_).ValueOrDie(), budget_).ValueOrDie();
  EXPECT_EQ(budget_->usage().cold_row_bytes, 2 * rows);  // half of the room is the row cache's
  EXPECT_GT(budget_->usage().row_cache_bytes, rows);
  EXPECT_LE(budget_->usage().row_cache_bytes, rows + rows / 2);
  other.reset();
  EXPECT_EQ(budget_->usage().mapped_row_bytes, rows);
  EXPECT_EQ(budget_->usage().row_cache_bytes, 0);
  ASSERT_TRUE(Check({1, 2, 3, kRows}).ok());
}

TEST_P(ColdSegment, IsScannedWhole) {
  uint64_t cursor = 0;
  int64_t count = 0;
  std::vector<ByteSpan> keys;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  while (cursor < reader_->end_address()) {
    ASSERT_TRUE(reader_->Scan(&cursor, 1000, &keys, &bodies, &rows).ok());
    for (const ByteSpan key : keys) EXPECT_EQ(LoadAs<int64_t>(key.data()), count++);
  }
  EXPECT_EQ(count, kRows);
}

INSTANTIATE_TEST_SUITE_P(All, ColdSegment, testing::Bool(),
                         [](const auto& run) { return run.param ? "uring" : "mapping"; });

}  // namespace
}  // namespace fletching::segment
