// Any bytes as an Arrow stream: what passes validation may be touched and cast without harm.
#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"

#include "ingest/cast.h"
#include "ingest/sources.h"

namespace fletching::ingest {
namespace {

constexpr DecodeLimits kLimits = {.piece_bytes_max = 32 << 20, .batch_rows_max = 1024};
constexpr int kBatchesMax = 64;  // a stream of a few bytes may claim rows without end

void Digest(arrow::RecordBatchReader& reader) {
  const CastRules rules = {.allow_float_narrowing = true, .allow_int_narrowing = true};
  std::shared_ptr<arrow::RecordBatch> batch;
  for (int count = 0; count < kBatchesMax; ++count) {
    if (!reader.ReadNext(&batch).ok() || batch == nullptr) return;
    if (!ValidateBatch(*batch).ok()) continue;
    (void)batch->ToString();
    for (const auto& column : batch->columns()) {
      for (const auto& type :
           {arrow::utf8(), arrow::binary(), arrow::int8(), arrow::float32(), arrow::date32(),
            arrow::timestamp(arrow::TimeUnit::MICRO), arrow::list(arrow::int64()),
            arrow::list(arrow::utf8()), arrow::fixed_size_list(arrow::float32(), 3)}) {
        const auto cast = CastColumn(column, type, rules);
        if (!cast.ok()) continue;
        if (!ValidateColumn(**cast).ok()) __builtin_trap();  // a cast may not break a column
        (void)(*cast)->ToString();
      }
    }
  }
}

}  // namespace
}  // namespace fletching::ingest

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace fletching::ingest;
  auto source = std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(data, static_cast<int64_t>(bytes)));
  const auto reader = OpenIpcStream(source, kLimits);
  if (reader.ok()) Digest(**reader);
  return 0;
}
