// Writes tests/golden/v<format version>: a store with everything the format can hold, and what it
// must read as. Run once when a format version is released; the files are then kept for good, and
// src/engine/golden_test.cc reads them with every later version.
//
//   cmake --build build/dev --target make_golden && build/dev/bin/make_golden tests/golden/v2
//
// v1 has no table "loaded": generations came with version 2 of the manifest.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include <arrow/api.h>

#include "fletching/engine.h"

#include "base/check.h"
#include "engine/test_model.h"
#include "segment/segment_writer.h"

namespace fletching {
namespace {

using engine::Domain;
using engine::DumpRows;
using engine::FakeClock;
using engine::ModelTable;
using engine::Random;

void Check(const Status& status) {
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  FLETCHING_CHECK(status.ok());
}

TableSchema AllTypes() {
  using arrow::TimeUnit;
  TableSchema schema;
  const std::vector<std::shared_ptr<arrow::DataType>> types = {
      arrow::boolean(),
      arrow::int8(),
      arrow::int16(),
      arrow::int32(),
      arrow::int64(),
      arrow::uint8(),
      arrow::uint16(),
      arrow::uint32(),
      arrow::uint64(),
      arrow::float16(),
      arrow::float32(),
      arrow::float64(),
      arrow::utf8(),
      arrow::binary(),
      arrow::date32(),
      arrow::time32(TimeUnit::MILLI),
      arrow::time64(TimeUnit::MICRO),
      arrow::timestamp(TimeUnit::SECOND),
      arrow::timestamp(TimeUnit::NANO, "UTC"),
      arrow::list(arrow::int32()),
      arrow::list(arrow::utf8()),
      arrow::fixed_size_list(arrow::float32(), 3)};
  schema.columns.push_back({.name = "id", .type = arrow::utf8(), .nullable = false});
  for (size_t i = 0; i < types.size(); ++i) {
    schema.columns.push_back({.name = "v" + std::to_string(i), .type = types[i]});
  }
  schema.key = {"id"};
  schema.metadata = {{"made_by", "make_golden"}};
  return schema;
}

// Rows of 64 bytes and a bit less: the layout that is aligned to cache lines.
TableSchema TenFloats() {
  TableSchema schema;
  schema.columns.push_back({.name = "id", .type = arrow::int64(), .nullable = false});
  for (int i = 0; i < 12; ++i) {
    schema.columns.push_back({.name = "f" + std::to_string(i), .type = arrow::float32()});
  }
  schema.key = {"id"};
  return schema;
}

TableSchema Composite() {
  TableSchema schema;
  schema.columns = {{.name = "text", .type = arrow::utf8()},
                    {.name = "b", .type = arrow::utf8(), .nullable = false},
                    {.name = "a", .type = arrow::int16(), .nullable = false},
                    {.name = "day", .type = arrow::date32(), .nullable = false},
                    {.name = "number", .type = arrow::int16()}};
  schema.key = {"a", "b", "day"};
  return schema;
}

TableSchema Events(int64_t ttl_ms) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::binary(), .nullable = false},
                    {.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MILLI)},
                    {.name = "number", .type = arrow::int32()}};
  schema.key = {"id"};
  schema.event_time = "at";
  schema.ttl_ms = ttl_ms;
  return schema;
}

// One table, in the engine and in the model.
class Golden {
 public:
  Golden(Engine* engine, FakeClock* clock, const std::string& name, const TableSchema& schema)
      : engine_(*engine), clock_(*clock), name_(name), model_(schema) {
    Check(engine_.CreateTable(name, schema));
  }

  // null_percent: -1 for the generator's own mixture
  void Write(int64_t rows, int null_percent, WriteMode mode = WriteMode::kReplace) {
    clock_.Advance(1000);
    const Domain domain{
        .key_count = 2 * rows, .now_us = clock_.NowMicros(), .null_percent = null_percent};
    std::vector<std::string> names;
    for (const ColumnSchema& column : model_.schema().columns) names.push_back(column.name);
    const auto batch = engine::RandomBatch(model_.schema(), names, rows, domain, random_);
    const auto reader = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
    Check(engine_.Write({.table = name_, .mode = mode}, reader.get()).status());
    FLETCHING_CHECK(model_.Write({batch}, mode, clock_.NowMicros()));
  }
  void Delete(int64_t count) {
    clock_.Advance(1000);
    const Domain domain{.key_count = 4 * count, .now_us = clock_.NowMicros()};
    const KeyArrays keys = engine::RandomKeys(model_.schema(), count, domain, random_);
    Check(engine_.Delete({.table = name_, .keys = keys}).status());
    model_.Delete(keys, {}, clock_.NowMicros());
  }
  // The whole of the table, in two segments.
  void Load(const std::string& generation, int64_t rows) {
    clock_.Advance(1000);
    const Domain domain{.key_count = 2 * rows, .now_us = clock_.NowMicros()};
    std::vector<std::string> names;
    for (const ColumnSchema& column : model_.schema().columns) names.push_back(column.name);
    const auto batch = engine::RandomBatch(model_.schema(), names, rows, domain, random_);
    const auto reader = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
    Check(engine_
              .Replace({.table = name_,
                        .generation = generation,
                        .schema = model_.schema(),
                        .segment_count = 2},
                       reader.get())
              .status());
    model_ = ModelTable(model_.schema());
    FLETCHING_CHECK(model_.Write({batch}, WriteMode::kReplace, clock_.NowMicros()));
  }
  void Flush() { Check(engine_.Flush(name_)); }
  void Compact() { Check(engine_.Compact(name_)); }
  void AddColumn(const ColumnSchema& column) {
    Check(engine_.AddColumn(name_, column));
    model_.AddColumn(column);
  }
  void Widen(const std::string& column, const std::shared_ptr<arrow::DataType>& type) {
    Check(engine_.WidenColumn(name_, column, type));
    model_.WidenColumn(column, type);
  }
  std::string Dump() const {
    return "table " + name_ + "\n" + DumpRows(model_.Live(clock_.NowMicros()));
  }

 private:
  Engine& engine_;
  FakeClock& clock_;
  const std::string name_;
  Random random_{1};
  ModelTable model_;
};

// previous: what RollBack brings in table "loaded".
std::string MakeStore(const std::string& folder, std::string* previous) {
  FakeClock clock;
  EngineOptions options;
  options.data_dir = folder;
  options.clock = &clock;
  options.background_compaction = false;
  options.small_write_bytes_max = 20'000;
  const auto engine = Engine::Open(options).ValueOrDie();

  Golden types(engine.get(), &clock, "types", AllTypes());
  types.Write(20, 20);
  types.Flush();
  types.Write(8, 20);
  types.Delete(4);
  types.Flush();  // deletions in a segment
  types.Write(5, 0);
  types.Delete(2);  // and in the log

  Golden floats(engine.get(), &clock, "floats", TenFloats());
  floats.Write(400, 0);  // a large write: duplicates inside, its segment named by the log
  floats.Write(10, 20);

  Golden sparse(engine.get(), &clock, "sparse", AllTypes());
  sparse.Write(40, 93);
  sparse.Flush();
  sparse.Write(20, 93);
  sparse.Compact();

  Golden composite(engine.get(), &clock, "composite", Composite());
  composite.Write(30, 10);
  composite.Flush();
  composite.AddColumn({.name = "added", .type = arrow::float32()});
  composite.Widen("number", arrow::int64());
  composite.Write(10, 10);
  composite.Flush();
  composite.Write(6, 10, WriteMode::kPatch);

  Golden events(engine.get(), &clock, "events", Events(0));
  events.Write(20, 10);
  events.Delete(3);
  events.Flush();
  events.Write(10, 10);

  Golden expiring(engine.get(), &clock, "expiring", Events(20'000));
  expiring.Write(20, 10);
  expiring.Flush();
  expiring.Write(10, 10);

  Golden loaded(engine.get(), &clock, "loaded", AllTypes());
  loaded.Load("2026-11-20", 30);
  *previous = loaded.Dump();
  loaded.Load("2026-11-21", 25);

  return types.Dump() + floats.Dump() + sparse.Dump() + composite.Dump() + events.Dump() +
         expiring.Dump() + loaded.Dump();
}

// A segment with constant columns, for the encoding's sake.
void MakeSegment(const std::string& path) {
  using segment::MakePhysical;
  segment::SegmentSpec spec;
  spec.layout = segment::PlaceColumns(
      8,
      {{.column_id = 1, .type = arrow::int32(), .encoding = format::Encoding::kConstant},
       {.column_id = 2, .type = arrow::utf8(), .encoding = format::Encoding::kConstant},
       {.column_id = 3, .type = arrow::int64()}},
      false);
  spec.hash_seed = 5;
  spec.column_names = {"number", "text", "id_again"};
  auto writer =
      segment::SegmentWriter::Create(io::PosixFileSystem(), path, std::move(spec)).ValueOrDie();
  std::vector<int64_t> ids(10);
  std::iota(ids.begin(), ids.end(), 0);
  arrow::Int64Builder id_builder;
  Check(id_builder.AppendValues(ids));
  const auto id_array = id_builder.Finish().ValueOrDie();
  const auto number = arrow::MakeArrayFromScalar(arrow::Int32Scalar(77), 10).ValueOrDie();
  const auto text = arrow::MakeArrayFromScalar(arrow::StringScalar("constant"), 10).ValueOrDie();
  const segment::KeyBatch keys = segment::EncodeKeys({id_array}).ValueOrDie();
  segment::RowBatch rows;
  rows.keys = &keys;
  for (const auto& column : {number, text, id_array}) {
    rows.columns.push_back(MakePhysical(column).ValueOrDie());
  }
  Check(writer->Append(rows));
  Check(writer->Finish().status());
}

}  // namespace
}  // namespace fletching

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_golden tests/golden/v2\n"), 2;
  const std::filesystem::path target = argv[1];
  std::filesystem::create_directories(target);
  std::string previous;
  const std::string dump = fletching::MakeStore(target / "store", &previous);
  std::filesystem::remove(target / "store" / "LOCK");
  std::ofstream(target / "expected.txt") << dump;
  std::ofstream(target / "expected_previous.txt") << previous;
  fletching::MakeSegment(target / "constants.flseg");
  return 0;
}
