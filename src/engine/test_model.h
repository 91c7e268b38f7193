// A table as a dictionary: what the engine must answer, told by code that shares none of the
// engine's. Random schemas and batches to go with it. For tests only.
//
// Cells are texts, one for each value whatever type carries it: the int8 7 and the int64 7 are both
// "i7", so a widened column compares without a cast.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/engine.h"
#include "fletching/request.h"
#include "fletching/schema.h"

#include "base/clock.h"

namespace fletching::engine {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t Next() { return engine_(); }
  // 0 .. limit - 1
  int64_t Below(int64_t limit) {
    return static_cast<int64_t>(engine_() % static_cast<uint64_t>(limit));
  }
  bool Chance(int percent) { return Below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

class FakeClock final : public Clock {
 public:
  int64_t NowMicros() const override { return now_us_.load(); }
  void Advance(int64_t micros) { now_us_ += micros; }

 private:
  std::atomic<int64_t> now_us_{1'700'000'000'000'000};
};

using Cell = std::optional<std::string>;  // nullopt = null
using Cells = std::vector<Cell>;

Cell CellOf(const arrow::Array& column, int64_t row);
// One text for a whole key; different keys have different texts.
std::string KeyText(const KeyArrays& keys, int64_t row);

class ModelTable {
 public:
  explicit ModelTable(TableSchema schema) : schema_(std::move(schema)) {}

  // False, and nothing is changed, when a patch would leave a column null that may not be.
  bool Write(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches, WriteMode mode,
             int64_t now_us);
  void Delete(const KeyArrays& keys, std::optional<int64_t> event_time_us, int64_t now_us);
  void AddColumn(const ColumnSchema& column);
  void WidenColumn(const std::string& name, std::shared_ptr<arrow::DataType> type);

  // Value cells of the row, in the order of ValueColumnNames; nullptr when it reads as missing.
  const Cells* Find(const std::string& key, int64_t now_us) const;
  std::map<std::string, Cells> Live(int64_t now_us) const;
  const TableSchema& schema() const { return schema_; }

 private:
  struct Record {
    bool is_tombstone = false;
    int64_t event_time = 0;  // in the column's unit; 0 in tables without
    int64_t commit_time_us = 0;
    Cells cells;
  };
  bool IsLive(const Record& record, int64_t now_us) const;
  void Apply(const std::string& key, Record record);

  TableSchema schema_;
  std::map<std::string, Record> records_;
};

// Rows as an engine shows them, by key as KeyText has it: a scan, each row of it looked up as well.
// Errors: those of the engine, and when the two disagree.
Result<std::map<std::string, Cells>> ReadRows(Engine& engine, const std::string& table);
// One line a row, ASCII.
std::string DumpRows(const std::map<std::string, Cells>& rows);

// What keys and values are drawn from. A small key space makes collisions.
struct Domain {
  int64_t key_count = 40;
  int64_t now_us = 0;  // event times lie around it
  int null_percent = 20;
};

// Every type of a column, every kind of key, event time, ttl: by chance.
TableSchema RandomSchema(Random& random);
ColumnSchema RandomColumn(const std::string& name, Random& random);
// A type that `type` widens to, or nullptr.
std::shared_ptr<arrow::DataType> WiderType(const arrow::DataType& type, Random& random);

KeyArrays RandomKeys(const TableSchema& schema, int64_t count, const Domain& domain,
                     Random& random);
// columns: those to carry, key columns included.
std::shared_ptr<arrow::RecordBatch> RandomBatch(const TableSchema& schema,
                                                const std::vector<std::string>& columns,
                                                int64_t row_count, const Domain& domain,
                                                Random& random);
// The same values in clothes that the engine must see through: slices, dictionaries, large offsets.
std::shared_ptr<arrow::Array> Disguise(const std::shared_ptr<arrow::Array>& column, Random& random);

}  // namespace fletching::engine
