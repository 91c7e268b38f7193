// A reader beside a writer sees what the writer sees, whatever was done in between.
#include <chrono>
#include <random>
#include <thread>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "engine/test_model.h"
#include "io/fault_file_system.h"
#include "io/test_folder.h"

namespace fletching::engine {
namespace {

using arrow::RecordBatch;
using arrow::RecordBatchReader;

TableSchema Rows() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::int64(), .nullable = false},
                    {.name = "v", .type = arrow::int64()},
                    {.name = "text", .type = arrow::utf8()}};
  schema.key = {"id"};
  return schema;
}

std::shared_ptr<arrow::Array> Ints(const std::vector<int64_t>& values) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<RecordBatchReader> Batch(const std::vector<int64_t>& ids, int64_t v) {
  arrow::StringBuilder texts;
  for (const int64_t id : ids) {
    EXPECT_TRUE(texts.Append(std::string(static_cast<size_t>(id % 100), 'x')).ok());
  }
  const auto schema =
      arrow::schema({arrow::field("id", arrow::int64()), arrow::field("v", arrow::int64()),
                     arrow::field("text", arrow::utf8())});
  return RecordBatchReader::Make(
             {RecordBatch::Make(schema, static_cast<int64_t>(ids.size()),
                                {Ints(ids), Ints(std::vector<int64_t>(ids.size(), v)),
                                 texts.Finish().ValueOrDie()})})
      .ValueOrDie();
}

std::string ValuesOf(const Engine& engine, const std::vector<int64_t>& ids) {
  const auto result = engine.Read({.table = "t", .keys = {Ints(ids)}});
  return result.ok() ? result->batch->ToString() : result.status().message();
}

class Follow : public testing::Test {
 protected:
  EngineOptions Options(OpenMode mode) {
    EngineOptions options{.data_dir = folder_ / "data", .mode = mode};
    options.small_write_bytes_max = 64 * 1024;  // larger writes become segments at once
    options.memtable_bytes_max = 1 << 20;
    options.background_compaction = false;
    options.follow_interval_ms = 0;
    return options;
  }
  void SetUp() override {
    writer_ = Engine::Open(Options(OpenMode::kWrite)).ValueOrDie();
    ASSERT_TRUE(writer_->CreateTable("t", Rows()).ok());
    reader_ = Engine::Open(Options(OpenMode::kReadOnly)).ValueOrDie();
  }
  void Write(const std::vector<int64_t>& ids, int64_t v) {
    // A patch, since columns may have been added.
    const WriteRequest request{.table = "t", .mode = WriteMode::kPatch};
    const auto status = writer_->Write(request, Batch(ids, v).get()).status();
    ASSERT_TRUE(status.ok()) << status;
  }
  void ExpectSame(const std::vector<int64_t>& ids) {
    ASSERT_TRUE(reader_->Refresh().ok());
    EXPECT_EQ(ValuesOf(*reader_, ids), ValuesOf(*writer_, ids));
  }

  io::TestFolder folder_;
  std::unique_ptr<Engine> writer_;
  std::unique_ptr<Engine> reader_;
};

TEST_F(Follow, RowsOfTheLogAreSeen) {
  ExpectSame({1, 2});
  for (int64_t v = 1; v < 5; ++v) {
    Write({1, 2, v + 10}, v);
    ExpectSame({1, 2, v + 10, 99});
  }
  ASSERT_TRUE(writer_->Delete({.table = "t", .keys = {Ints({2})}}).ok());
  ExpectSame({1, 2});
}

TEST_F(Follow, TheFirstWriteOfAllIsSeen) {
  Write({7}, 7);
  ExpectSame({7});
}

TEST_F(Follow, NothingIsSeenUntilItIsLookedFor) {
  Write({1}, 1);
  const std::string nothing = ValuesOf(*reader_, {1});
  ASSERT_TRUE(reader_->Refresh().ok());
  EXPECT_NE(ValuesOf(*reader_, {1}), nothing);
  const auto before = reader_->GetTable("t").ValueOrDie().version;
  ASSERT_TRUE(reader_->Refresh().ok());  // nothing new
  EXPECT_EQ(reader_->GetTable("t").ValueOrDie().version, before);
}

TEST_F(Follow, AWriterThatStartsAgainIsFollowed) {
  Write({1}, 1);
  ExpectSame({1});
  ASSERT_TRUE(writer_->Close().ok());
  writer_ = Engine::Open(Options(OpenMode::kWrite)).ValueOrDie();
  Write({1, 2}, 2);
  ExpectSame({1, 2});
}

TEST_F(Follow, WhatAPinnedScanSeesStays) {
  Write({1, 2, 3}, 1);
  ASSERT_TRUE(reader_->Refresh().ok());
  const auto scan = reader_->Scan({.table = "t"}).ValueOrDie();
  Write({1, 2, 3}, 2);
  ASSERT_TRUE(writer_->Compact("t").ok());
  ASSERT_TRUE(reader_->Refresh().ok());
  const auto batch = scan->Next().ValueOrDie();
  EXPECT_EQ(CellOf(*batch->GetColumnByName("v"), 0), "i1");
  ExpectSame({1, 2, 3});
}

// Any order of everything a writer can do.
TEST_F(Follow, EverythingAWriterDoes) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return static_cast<int64_t>(random() % n); };
  int64_t column = 0;
  for (int64_t step = 0; step < 300; ++step) {
    switch (below(12)) {
      case 0:
        ASSERT_TRUE(writer_->Flush("t").ok());
        break;
      case 1:
        ASSERT_TRUE(writer_->Compact("t").ok());
        break;
      case 2:
        ASSERT_TRUE(writer_->Delete({.table = "t", .keys = {Ints({below(500), below(500)})}}).ok());
        break;
      case 3: {  // a segment of its own
        std::vector<int64_t> ids;
        for (int64_t i = 0; i < 3000; ++i) ids.push_back(below(5000));
        Write(ids, step);
        break;
      }
      case 4:
        if (column < 3) {
          const ColumnSchema added{.name = "c" + std::to_string(column++),
                                   .type = arrow::float32()};
          ASSERT_TRUE(writer_->AddColumn("t", added).ok());
        }
        break;
      case 5:
        if (below(4) == 0) {
          ASSERT_TRUE(writer_->Close().ok());
          writer_ = Engine::Open(Options(OpenMode::kWrite)).ValueOrDie();
        }
        break;
      default:
        Write({below(500), 500 + below(100)}, step);
    }
    if (below(3) == 0) {
      std::vector<int64_t> ids;
      for (int64_t i = 0; i < 50; ++i) ids.push_back(below(600));
      ExpectSame(ids);
      if (HasFailure()) return;
    }
  }
}

// A write whose log could not be synced may have been seen; the next one takes it back.
TEST_F(Follow, WhatDidNotCountIsTakenBack) {
  Write({1}, 1);
  ExpectSame({1});
  ASSERT_TRUE(writer_->Close().ok());
  io::FaultFileSystem faults(io::PosixFileSystem());
  EngineOptions options = Options(OpenMode::kWrite);
  options.file_system = &faults;
  writer_ = Engine::Open(options).ValueOrDie();
  Write({1}, 2);
  ExpectSame({1});
  for (int64_t nth = 1; nth < 12; ++nth) {
    // It lies in the log, and nobody knows for how long.
    faults.SetPlan({.at = 1, .kinds = {io::IoCall::kSync}, .effect = io::FaultEffect::kFailAfter});
    EXPECT_FALSE(writer_->Write({.table = "t"}, Batch({1, nth}, 100 + nth).get()).ok());
    ASSERT_TRUE(reader_->Refresh().ok());
    faults.SetPlan({});
    Write({2}, nth);
    ExpectSame({1, 2, nth});
  }
}

// The thread that looks by itself.
TEST_F(Follow, AReaderLooksByItself) {
  EngineOptions options = Options(OpenMode::kReadOnly);
  options.follow_interval_ms = 5;
  const auto reader = Engine::Open(options).ValueOrDie();
  Write({1}, 42);
  for (int i = 0; i < 2000 && ValuesOf(*reader, {1}) != ValuesOf(*writer_, {1}); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(ValuesOf(*reader, {1}), ValuesOf(*writer_, {1}));
}

}  // namespace
}  // namespace fletching::engine
