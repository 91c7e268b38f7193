// Any bytes as a Parquet file: decoded, validated and touched.
#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "arrow/record_batch.h"

#include "ingest/cast.h"
#include "ingest/sources.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace fletching::ingest;
  constexpr DecodeLimits kLimits = {.piece_bytes_max = 32 << 20, .batch_rows_max = 1024};
  constexpr int kBatchesMax = 64;  // run lengths let a few bytes hold rows without end
  auto source = std::make_shared<arrow::io::BufferReader>(
      std::make_shared<arrow::Buffer>(data, static_cast<int64_t>(bytes)));
  const auto reader = OpenParquet(source, kLimits);
  std::shared_ptr<arrow::RecordBatch> batch;
  for (int count = 0; reader.ok() && count < kBatchesMax; ++count) {
    if (!(*reader)->ReadNext(&batch).ok() || batch == nullptr) break;
    if (ValidateBatch(*batch).ok()) (void)batch->ToString();
  }
  return 0;
}
