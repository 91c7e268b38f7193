// Many threads at once: what readers see is checked against what writers were told.
//
// Each writer owns a group of keys and writes all of them in every batch, with the number of the
// batch in each row. So a reader of a group must find one number in all rows (batches are atomic),
// not below the last one acknowledged before it began to read (no stale or vanished row), not above
// the last one begun before it ended, and never less than it saw before. Rows repeat their number
// in other columns (no torn row). Every seventh batch is a deletion: then no row at all.
#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "fletching/engine.h"

#include "engine/test_model.h"
#include "io/sim_file_system.h"
#include "io/test_folder.h"

namespace fletching::engine {
namespace {

constexpr int kWriters = 4;
constexpr int kReaders = 8;
constexpr int kGroupKeys = 24;

bool IsDeletion(int64_t batch) { return batch % 7 == 6; }

std::string KeyOf(int writer, int key) {
  return "w" + std::to_string(writer) + "k" + std::to_string(key);
}
std::string TextOf(int key, int64_t batch) {
  return std::to_string(batch) + std::string(static_cast<size_t>((key + batch) % 40), '~');
}

TableSchema HistorySchema(bool has_event_time) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "batch", .type = arrow::int32()},
                    {.name = "text", .type = arrow::utf8()},
                    {.name = "again", .type = arrow::int32()}};
  schema.key = {"id"};
  if (has_event_time) {
    schema.columns[3] = {.name = "again", .type = arrow::timestamp(arrow::TimeUnit::MICRO)};
    schema.event_time = "again";
  }
  return schema;
}

std::shared_ptr<arrow::Array> GroupKeys(int writer) {
  arrow::StringBuilder builder;
  for (int key = 0; key < kGroupKeys; ++key) {
    EXPECT_TRUE(builder.Append(KeyOf(writer, key)).ok());
  }
  return builder.Finish().ValueOrDie();
}

// What a writer tells readers.
struct Progress {
  std::atomic<int64_t> begun{0};
  std::atomic<int64_t> acknowledged{0};
};

class History {
 public:
  History(io::FileSystem* disk, const std::string& folder, bool has_event_time, int batches)
      : has_event_time_(has_event_time), batches_(batches) {
    EngineOptions options;
    options.data_dir = folder;
    options.file_system = disk;
    options.memtable_bytes_max = 1 << 16;
    if (has_event_time) options.memory_budget_bytes = 64 << 10;  // some segments are cold
    options.small_write_bytes_max = 1'300;  // a whole group is large or small by its texts
    engine_ = Engine::Open(options).ValueOrDie();
    EXPECT_TRUE(engine_->CreateTable("t", HistorySchema(has_event_time)).ok());
  }

  void Run() {
    std::vector<std::thread> threads;
    std::atomic<int> writing{kWriters};
    for (int writer = 0; writer < kWriters; ++writer) {
      threads.emplace_back([&, writer] {
        for (int64_t batch = 1; batch <= batches_ && !failed_; ++batch) Write(writer, batch);
        --writing;
      });
    }
    for (int reader = 0; reader < kReaders; ++reader) {
      threads.emplace_back([&, reader] {
        std::array<int64_t, kWriters> seen{};
        Random random(static_cast<uint64_t>(reader));
        while (writing > 0 && !failed_) {
          if (random.Chance(10)) {
            Scan(&seen);
          } else {
            Read(static_cast<int>(random.Below(kWriters)), &seen);
          }
        }
      });
    }
    threads.emplace_back([&] { Change(writing); });
    for (std::thread& thread : threads) thread.join();
    std::array<int64_t, kWriters> seen{};
    Scan(&seen);
  }

 private:
  void Fail(const std::string& text) {
    failed_ = true;
    ADD_FAILURE() << text;
  }
  void Expect(bool holds, const std::string& text) {
    if (!holds && !failed_) Fail(text);
  }

  // Schema changes and maintenance race the writers.
  void Change(const std::atomic<int>& writing) {
    int added = 0;
    bool is_wide = false;
    for (int round = 0; writing > 0 && !failed_; ++round) {
      Status status;
      if (round % 4 == 1 && added < 4) {
        status = engine_->AddColumn(
            "t", {.name = "more" + std::to_string(added++), .type = arrow::int32()});
      } else if (round % 4 == 3 && !is_wide) {
        is_wide = true;
        status = engine_->WidenColumn("t", "batch", arrow::int64());
      } else {
        status = round % 2 == 0 ? engine_->Compact("t") : engine_->Flush("t");
      }
      Expect(status.ok(), "change: " + status.ToString());
      std::this_thread::yield();
    }
  }

  // more: how many added columns to carry, as nulls.
  std::shared_ptr<arrow::RecordBatchReader> Rows(int writer, int64_t batch, size_t more) {
    arrow::Int32Builder numbers;
    arrow::Int32Builder again;
    arrow::TimestampBuilder at(arrow::timestamp(arrow::TimeUnit::MICRO),
                               arrow::default_memory_pool());
    arrow::StringBuilder texts;
    for (int key = 0; key < kGroupKeys; ++key) {
      EXPECT_TRUE(numbers.Append(static_cast<int32_t>(batch)).ok());
      EXPECT_TRUE(again.Append(static_cast<int32_t>(batch)).ok());
      EXPECT_TRUE(at.Append(batch).ok());
      EXPECT_TRUE(texts.Append(TextOf(key, batch)).ok());
    }
    std::vector<std::shared_ptr<arrow::Array>> columns = {
        GroupKeys(writer), numbers.Finish().ValueOrDie(), texts.Finish().ValueOrDie(),
        has_event_time_ ? at.Finish().ValueOrDie() : again.Finish().ValueOrDie()};
    std::vector<std::shared_ptr<arrow::Field>> fields;
    for (size_t c = 0; c < columns.size(); ++c) {
      static const char* const kNames[] = {"id", "batch", "text", "again"};
      fields.push_back(arrow::field(kNames[c], columns[c]->type()));
    }
    for (size_t i = 0; i < more; ++i) {
      fields.push_back(arrow::field("more" + std::to_string(i), arrow::int32()));
      columns.push_back(arrow::MakeArrayOfNull(arrow::int32(), kGroupKeys).ValueOrDie());
    }
    return arrow::RecordBatchReader::Make(
               {arrow::RecordBatch::Make(arrow::schema(fields), kGroupKeys, columns)})
        .ValueOrDie();
  }

  // A patch carries all that a replacement does, so columns added meanwhile do not stop it.
  void Write(int writer, int64_t batch) {
    Progress& progress = progress_[writer];
    progress.begun = batch;
    Status status;
    uint64_t version = 0;
    if (IsDeletion(batch)) {
      const auto result =
          engine_->Delete({.table = "t", .keys = {GroupKeys(writer)}, .event_time_us = batch});
      status = result.status();
      if (result.ok()) version = result->version;
    } else {
      const auto rows = Rows(writer, batch, 0);
      const auto result = engine_->Write({.table = "t", .mode = WriteMode::kPatch}, rows.get());
      // The same again as a replacement, which can be large enough for a segment of its own. The
      // schema may change under it.
      if (result.ok() && batch % 3 == 0) {
        const size_t more = engine_->GetTable("t")->schema.columns.size() - 4;
        const auto replacement = Rows(writer, batch, more);
        IgnoreSchema(engine_->Write({.table = "t"}, replacement.get()).status());
      }
      status = result.status();
      if (result.ok()) version = result->version;
    }
    Expect(status.ok(), "write: " + status.ToString());
    Expect(version > last_version_[writer], "versions of one writer do not ascend");
    last_version_[writer] = version;
    progress.acknowledged = batch;
  }

  void IgnoreSchema(const Status& status) {
    Expect(status.ok() || CodeOf(status) == ErrorCode::kSchemaMismatch,
           "replacement: " + status.ToString());
  }

  // numbers: of the rows of one group that were found; -1 for rows that contradict themselves.
  void Judge(int writer, const std::vector<int64_t>& numbers, int64_t acknowledged_before,
             std::array<int64_t, kWriters>* seen, const std::string& how) {
    const int64_t begun_after = progress_[writer].begun;
    const std::string where = how + ", writer " + std::to_string(writer) + ", batches " +
                              std::to_string(acknowledged_before) + " to " +
                              std::to_string(begun_after) + ": ";
    if (numbers.empty()) {
      bool is_possible = acknowledged_before == 0;
      for (int64_t batch = acknowledged_before; batch <= begun_after; ++batch) {
        is_possible = is_possible || IsDeletion(batch);
      }
      return Expect(is_possible, where + "the rows are gone");
    }
    Expect(numbers.size() == kGroupKeys, where + std::to_string(numbers.size()) + " rows");
    for (const int64_t number : numbers) {
      Expect(number == numbers[0], where + "a row of batch " + std::to_string(number) +
                                       " beside one of " + std::to_string(numbers[0]));
    }
    Expect(numbers[0] >= acknowledged_before && numbers[0] <= begun_after,
           where + "shows " + std::to_string(numbers[0]));
    Expect(numbers[0] >= (*seen)[writer], where + "went back to " + std::to_string(numbers[0]));
    (*seen)[writer] = numbers[0];
  }

  int64_t NumberOf(const arrow::RecordBatch& batch, int64_t row, int key) {
    const auto cell = [&](const char* name) {
      return CellOf(*batch.GetColumnByName(name), row).value_or("?");
    };
    const int64_t number = std::atoll(cell("batch").c_str() + 1);
    const bool fits = cell("again") == cell("batch") && cell("text") == "s" + TextOf(key, number);
    Expect(fits, "torn row: " + cell("batch") + " " + cell("again") + " " + cell("text"));
    return number;
  }

  void Read(int writer, std::array<int64_t, kWriters>* seen) {
    const int64_t acknowledged = progress_[writer].acknowledged;
    const auto result = engine_->Read({.table = "t", .keys = {GroupKeys(writer)}});
    if (!result.ok()) return Fail("read: " + result.status().ToString());
    std::vector<int64_t> numbers;
    for (int key = 0; key < kGroupKeys; ++key) {
      const bool is_found = (result->found->data()[key / 8] >> (key % 8)) & 1;
      if (is_found) numbers.push_back(NumberOf(*result->batch, key, key));
    }
    Judge(writer, numbers, acknowledged, seen, "read");
  }

  void Scan(std::array<int64_t, kWriters>* seen) {
    std::array<int64_t, kWriters> acknowledged{};
    for (int writer = 0; writer < kWriters; ++writer) {
      acknowledged[writer] = progress_[writer].acknowledged;
    }
    std::array<std::vector<int64_t>, kWriters> numbers;
    const auto reader = engine_->Scan({.table = "t"});
    if (!reader.ok()) return Fail("scan: " + reader.status().ToString());
    std::shared_ptr<arrow::RecordBatch> batch;
    while (true) {
      const Status status = (*reader)->ReadNext(&batch);
      if (!status.ok()) return Fail("scan: " + status.ToString());
      if (batch == nullptr) break;
      const auto& ids = static_cast<const arrow::StringArray&>(*batch->GetColumnByName("id"));
      for (int64_t row = 0; row < batch->num_rows(); ++row) {
        const std::string id = ids.GetString(row);
        const int writer = id[1] - '0';
        numbers[writer].push_back(NumberOf(*batch, row, std::atoi(id.c_str() + 3)));
      }
    }
    for (int writer = 0; writer < kWriters; ++writer) {
      Judge(writer, numbers[writer], acknowledged[writer], seen, "scan");
    }
  }

  const bool has_event_time_;
  const int batches_;
  std::unique_ptr<Engine> engine_;
  std::array<Progress, kWriters> progress_;
  std::array<uint64_t, kWriters> last_version_{};
  std::atomic<bool> failed_{false};
};

TEST(EngineHistory, ShowsNoStaleTornOrVanishedRow) {
  io::SimFileSystem disk;
  History(&disk, "/data", false, 200).Run();
}

TEST(EngineHistory, ShowsNoStaleTornOrVanishedRowWithEventTimes) {
  io::SimFileSystem disk;
  History(&disk, "/data", true, 200).Run();
}

TEST(EngineHistory, ShowsNoStaleTornOrVanishedRowOnTheRealDisk) {
  io::TestFolder folder;
  History(nullptr, folder / "data", false, 100).Run();
}

}  // namespace
}  // namespace fletching::engine
