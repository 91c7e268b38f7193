// Writes the seeds of segment_reader_fuzz, manifest_fuzz and log_fuzz: segments, manifests and logs
// of a few small tables, in the form the fuzzers take.
//
//   cmake --build build/dev --target make_corpus && build/dev/bin/make_corpus tests/corpus
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <arrow/api.h>

#include "base/check.h"
#include "format/file_names.h"
#include "format/log_layout.h"
#include "format/manifest.h"
#include "io/sim_file_system.h"
#include "segment/test_segment_repair.h"
#include "table/test_table.h"

namespace fletching {
namespace {

using table::ArrayOf;
using table::ArrayOfLists;
using table::Ints;
using table::TestTable;
using table::Texts;

std::filesystem::path target;

void Put(const std::string& fuzzer, const std::string& name, ByteSpan bytes) {
  std::filesystem::create_directories(target / fuzzer);
  std::ofstream file(target / fuzzer / name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  std::printf("%s/%s: %zu bytes\n", fuzzer.c_str(), name.c_str(), bytes.size());
}

// Every file of a table. kind: of the tables that log_fuzz knows, or -1.
void PutTable(io::FileSystem* disk, const std::string& name, int kind) {
  const std::string folder = TestTable::kFolder;
  int number = 0;
  for (const std::string& path : table::FilesOf(disk, folder, "")) {
    const std::vector<uint8_t> bytes = table::BytesOf(disk, path);
    const std::string seed = name + "_" + std::to_string(++number);
    if (path.ends_with(format::kSegmentEnding)) {
      Put("segment_reader", seed, segment::CompactSegment(bytes));
    } else if (path.ends_with(format::kManifestEnding)) {
      Put("manifest", seed, ByteSpan(bytes).subspan(sizeof(format::ManifestHeader)));
    } else if (path.ends_with(format::kLogEnding) && kind >= 0) {
      std::vector<uint8_t> input{static_cast<uint8_t>(kind)};
      input.insert(input.end(), bytes.begin() + sizeof(format::LogHeader), bytes.end());
      if (input.size() > 1) Put("log", seed, input);
    }
  }
}

// The four tables of log_fuzz: utf8 key, integer key, event time, ttl.
void PutLogTable(int kind) {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::utf8(), .nullable = false},
                    {.name = "number", .type = arrow::int32()},
                    {.name = "text", .type = arrow::utf8()},
                    {.name = "list", .type = arrow::list(arrow::int32())}};
  schema.key = {"id"};
  if (kind == 1) schema.columns[0].type = arrow::int64();
  if (kind == 2) {
    schema.columns[3] = {.name = "at", .type = arrow::timestamp(arrow::TimeUnit::MILLI)};
    schema.event_time = "at";
  }
  if (kind == 3) schema.ttl_ms = 1000;
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  const auto keys = [&](int64_t first) {
    return kind == 1 ? ArrayOf(arrow::int64(), {first, first + 1})
                     : ArrayOf({"key" + std::to_string(first), "key" + std::to_string(first + 1)});
  };
  for (int64_t round = 0; round < 3; ++round) {
    const auto last = kind == 2 ? ArrayOf(schema.columns[3].type, {10 - round, 20})
                                : ArrayOfLists(2, static_cast<int>(round));
    FLETCHING_CHECK(
        table
            .Write({keys(round), ArrayOf(arrow::int32(), {round, {}}), ArrayOf({{}, "text"}), last})
            .ok());
    if (round == 1) FLETCHING_CHECK(table.Delete(keys(5)).ok());
    if (round == 1) FLETCHING_CHECK(table->Flush().ok());
  }
  PutTable(&disk, "table" + std::to_string(kind), kind);
}

// Sparse, constant and absent columns, deletions and shadowed rows.
void PutWideTable() {
  TableSchema schema;
  schema.columns = {{.name = "a", .type = arrow::int16(), .nullable = false},
                    {.name = "b", .type = arrow::utf8(), .nullable = false},
                    {.name = "sparse", .type = arrow::int64()},
                    {.name = "sparse_text", .type = arrow::utf8()},
                    {.name = "constant", .type = arrow::float32()},
                    {.name = "absent", .type = arrow::int8()}};
  schema.key = {"a", "b"};
  schema.metadata = {{"made_by", "make_corpus"}};
  io::SimFileSystem disk;
  TestTable table(&disk, schema, 100);
  Ints a;
  Ints sparse;
  Texts b;
  Texts sparse_text;
  for (int64_t i = 0; i < 24; ++i) {
    a.push_back(i % 20);
    b.push_back(std::string(static_cast<size_t>(i % 3), 'b'));
    sparse.push_back(i % 8 == 3 ? std::optional<int64_t>(i) : std::nullopt);
    sparse_text.push_back(i % 9 == 5 ? std::optional<std::string>("here") : std::nullopt);
  }
  const auto write = [&] {
    FLETCHING_CHECK(
        table
            .Write({ArrayOf(arrow::int16(), a), ArrayOf(b), ArrayOf(arrow::int64(), sparse),
                    ArrayOf(sparse_text), ArrayOf(arrow::float32(), Ints(a.size(), 5)),
                    ArrayOf(arrow::int8(), Ints(a.size()))})
            .ok());
  };
  write();  // a large write, with shadowed rows in its segment
  PutTable(&disk, "large", -1);
  FLETCHING_CHECK(table->Compact().ok());
  PutTable(&disk, "wide", -1);
}

void PutEmbeddings() {
  TableSchema schema;
  schema.columns = {{.name = "id", .type = arrow::uint64(), .nullable = false},
                    {.name = "flag", .type = arrow::boolean()},
                    {.name = "half", .type = arrow::float16()},
                    {.name = "vector", .type = arrow::fixed_size_list(arrow::float32(), 3)},
                    {.name = "words", .type = arrow::list(arrow::utf8())}};
  schema.key = {"id"};
  io::SimFileSystem disk;
  TestTable table(&disk, schema);
  arrow::FixedSizeListBuilder vectors(arrow::default_memory_pool(),
                                      std::make_shared<arrow::FloatBuilder>(), 3);
  arrow::ListBuilder words(arrow::default_memory_pool(), std::make_shared<arrow::StringBuilder>());
  arrow::BooleanBuilder flags;
  arrow::HalfFloatBuilder halves;
  Ints ids;
  for (int i = 0; i < 8; ++i) {
    ids.push_back(i);
    FLETCHING_CHECK(flags.Append(i % 2 == 0).ok());
    FLETCHING_CHECK((i % 3 == 0 ? halves.AppendNull() : halves.Append(0x3c00)).ok());
    FLETCHING_CHECK(vectors.Append().ok() && words.Append().ok());
    for (int item = 0; item < 3; ++item) {
      FLETCHING_CHECK(static_cast<arrow::FloatBuilder*>(vectors.value_builder())
                          ->Append(static_cast<float>(i * item))
                          .ok());
    }
    auto* const word = static_cast<arrow::StringBuilder*>(words.value_builder());
    FLETCHING_CHECK(word->Append("word").ok() && word->AppendNull().ok());
  }
  FLETCHING_CHECK(table
                      .Write({ArrayOf(arrow::uint64(), ids), flags.Finish().ValueOrDie(),
                              halves.Finish().ValueOrDie(), vectors.Finish().ValueOrDie(),
                              words.Finish().ValueOrDie()})
                      .ok());
  FLETCHING_CHECK(table->Flush().ok());
  PutTable(&disk, "embeddings", -1);
}

}  // namespace
}  // namespace fletching

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: make_corpus tests/corpus\n"), 2;
  fletching::target = argv[1];
  for (int kind = 0; kind < 4; ++kind) fletching::PutLogTable(kind);
  fletching::PutWideTable();
  fletching::PutEmbeddings();
  return 0;
}
