#include "ingest/test_samples.h"

#include <fstream>
#include <unistd.h>
#include <utility>

#include "arrow/array.h"
#include "arrow/array/concatenate.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/ipc/options.h"
#include "arrow/ipc/writer.h"
#include "arrow/json/from_string.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "arrow/type.h"
#include "arrow/util/byte_size.h"
#include "parquet/arrow/writer.h"
#include "parquet/properties.h"

#include "ingest/cast.h"
#include "ingest/sources.h"

namespace fletching::ingest::samples {
namespace {

void Must(const Status& status) {
  if (!status.ok()) status.Abort("making a sample");
}

}  // namespace

ArrayPtr ArrayOf(const std::shared_ptr<arrow::DataType>& type, std::string_view json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

BatchPtr BatchOf(const std::vector<std::string>& names, const std::vector<ArrayPtr>& columns) {
  arrow::FieldVector fields;
  for (size_t at = 0; at < names.size(); ++at) {
    fields.push_back(arrow::field(names[at], columns[at]->type()));
  }
  const int64_t rows = columns.empty() ? 0 : columns[0]->length();
  return arrow::RecordBatch::Make(arrow::schema(fields), rows, columns);
}

BatchPtr EveryType() {
  using arrow::TimeUnit;
  std::vector<std::string> names;
  std::vector<ArrayPtr> columns;
  const auto add = [&](const char* name, const std::shared_ptr<arrow::DataType>& type,
                       std::string_view json) {
    names.emplace_back(name);
    columns.push_back(ArrayOf(type, json));
  };
  add("bool", arrow::boolean(), "[true, false, null, true, false, null]");
  add("int8", arrow::int8(), "[-128, 127, null, 0, 1, -1]");
  add("int16", arrow::int16(), "[-32768, 32767, null, 0, 1, -1]");
  add("int32", arrow::int32(), "[-2147483648, 2147483647, null, 0, 1, -1]");
  add("int64", arrow::int64(),
      "[-9223372036854775808, 9223372036854775807, null, 9007199254740993, 1, -1]");
  add("uint8", arrow::uint8(), "[0, 255, null, 1, 2, 3]");
  add("uint16", arrow::uint16(), "[0, 65535, null, 1, 2, 3]");
  add("uint32", arrow::uint32(), "[0, 4294967295, null, 1, 2, 3]");
  add("uint64", arrow::uint64(), "[0, 18446744073709551615, null, 9007199254740993, 2, 3]");
  add("float16", arrow::float16(), "[0.5, NaN, null, Inf, -Inf, 65504]");
  add("float32", arrow::float32(), "[0.1, NaN, null, Inf, -Inf, 3.4028234663852886e38]");
  add("float64", arrow::float64(), "[0.1, NaN, null, Inf, -Inf, 1.7976931348623157e308]");
  add("utf8", arrow::utf8(),
      R"(["", "a", null, "gr\u00fc\u00dfe", "\ud83d\ude00", "long enough"])");
  add("binary", arrow::binary(), R"(["", "a", null, "\u0001\u0002", "zz", "bytes"])");
  add("date32", arrow::date32(), "[-719162, 2932896, null, 0, 1, 15706]");
  add("time32_s", arrow::time32(TimeUnit::SECOND), "[0, 86399, null, 1, 2, 3]");
  add("time32_ms", arrow::time32(TimeUnit::MILLI), "[0, 86399999, null, 1, 2, 3]");
  add("time64_us", arrow::time64(TimeUnit::MICRO), "[0, 86399999999, null, 1, 2, 3]");
  add("time64_ns", arrow::time64(TimeUnit::NANO), "[0, 86399999999999, null, 1, 2, 3]");
  add("timestamp_ms", arrow::timestamp(TimeUnit::MILLI), "[-1, 253402300799999, null, 0, 1, 2]");
  add("timestamp_us", arrow::timestamp(TimeUnit::MICRO), "[-1, 253402300799999999, null, 0, 1, 2]");
  add("timestamp_ns", arrow::timestamp(TimeUnit::NANO),
      "[-9223372036854775808, 9223372036854775807, null, 0, 1, 2]");
  add("timestamp_utc", arrow::timestamp(TimeUnit::MICRO, "UTC"), "[-1, 1, null, 0, 1, 2]");
  add("list_int32", arrow::list(arrow::int32()), "[[1, 2, 3], [], null, [4], [null], [5, 6]]");
  add("list_float64", arrow::list(arrow::float64()), "[[], [], null, [NaN], [1.5, 2.5], [0]]");
  add("list_utf8", arrow::list(arrow::utf8()), R"([["a"], [], null, ["", "bc"], [null], ["d"]])");
  add("embedding", arrow::fixed_size_list(arrow::float32(), 3),
      "[[1, 2, 3], [NaN, Inf, -Inf], null, [0, 0, 0], [0.1, 0.2, 0.3], [7, 8, 9]]");
  return BatchOf(names, columns);
}

TableSchema SchemaOf(const arrow::RecordBatch& batch) {
  TableSchema schema;
  for (const auto& field : batch.schema()->fields()) {
    schema.columns.push_back({.name = field->name(), .type = field->type()});
  }
  return schema;
}

std::string IpcBody(const std::vector<BatchPtr>& batches,
                    const arrow::ipc::IpcWriteOptions& options) {
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  auto writer = arrow::ipc::MakeStreamWriter(sink, batches[0]->schema(), options).ValueOrDie();
  for (const BatchPtr& batch : batches) Must(writer->WriteRecordBatch(*batch));
  Must(writer->Close());
  return sink->Finish().ValueOrDie()->ToString();
}

std::string IpcBody(const std::vector<BatchPtr>& batches) {
  return IpcBody(batches, arrow::ipc::IpcWriteOptions::Defaults());
}

std::string ParquetBody(const std::vector<BatchPtr>& batches, const ParquetShape& shape) {
  auto sink = arrow::io::BufferOutputStream::Create().ValueOrDie();
  parquet::WriterProperties::Builder properties;
  if (!shape.dictionary) properties.disable_dictionary();
  if (shape.compressed) properties.compression(parquet::Compression::SNAPPY);
  parquet::ArrowWriterProperties::Builder arrow_properties;
  if (shape.store_schema) arrow_properties.store_schema();
  const auto table = arrow::Table::FromRecordBatches(batches).ValueOrDie();
  Must(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), sink, shape.row_group_rows,
                                  properties.build(), arrow_properties.build()));
  return sink->Finish().ValueOrDie()->ToString();
}

Result<ReaderPtr> OpenIpc(const std::string& body) {
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(body));
  return OpenIpcStream(source, DecodeLimits{});
}

Result<ReaderPtr> OpenParquetBody(const std::string& body) {
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(body));
  return OpenParquet(source, DecodeLimits{});
}

Result<BatchPtr> ReadAll(const Result<ReaderPtr>& reader) {
  ARROW_RETURN_NOT_OK(reader.status());
  std::vector<BatchPtr> batches;
  while (true) {
    BatchPtr batch;
    ARROW_RETURN_NOT_OK((*reader)->ReadNext(&batch));
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(ValidateBatch(*batch));
    batches.push_back(std::move(batch));
  }
  ARROW_ASSIGN_OR_RAISE(const auto table,
                        arrow::Table::FromRecordBatches((*reader)->schema(), batches));
  return table->CombineChunksToBatch();
}

int64_t Digest(const Result<ReaderPtr>& reader) {
  int64_t passed = 0;
  BatchPtr batch;
  while (reader.ok() && (*reader)->ReadNext(&batch).ok() && batch != nullptr) {
    if (!ValidateBatch(*batch).ok()) continue;
    ++passed;
    (void)batch->ToString();  // touches every value
    for (const ArrayPtr& column : batch->columns()) {
      for (const auto& type : {arrow::utf8(), arrow::int64(), arrow::list(arrow::float64()),
                               arrow::fixed_size_list(arrow::float32(), 3)}) {
        const CastRules rules = {.allow_float_narrowing = true, .allow_int_narrowing = true};
        const auto cast = CastColumn(column, type, rules);
        if (cast.ok()) (void)(*cast)->ToString();
      }
    }
  }
  return passed;
}

int64_t ResidentBytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 0;  // its allocator keeps freed memory aside: what is resident says nothing of what is
             // held
#endif
  std::ifstream statm("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

}  // namespace fletching::ingest::samples
