// Batches of every storable type, and bodies made of them, for the tests of this room.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

namespace arrow::ipc {
struct IpcWriteOptions;
}

namespace fletching::ingest::samples {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using BatchPtr = std::shared_ptr<arrow::RecordBatch>;
using ReaderPtr = std::shared_ptr<arrow::RecordBatchReader>;

// Arrow's own notation of arrays: ArrayOf(arrow::int32(), "[1, null]").
ArrayPtr ArrayOf(const std::shared_ptr<arrow::DataType>& type, std::string_view json);
BatchPtr BatchOf(const std::vector<std::string>& names, const std::vector<ArrayPtr>& columns);

// Six rows, one column of each type: nulls, empty lists, NaN, infinities and extremes among them.
BatchPtr EveryType();
TableSchema SchemaOf(const arrow::RecordBatch& batch);

std::string IpcBody(const std::vector<BatchPtr>& batches);
std::string IpcBody(const std::vector<BatchPtr>& batches,
                    const arrow::ipc::IpcWriteOptions& options);

struct ParquetShape {
  int64_t row_group_rows = 1 << 20;
  bool dictionary = true;
  bool compressed = false;  // snappy
  bool store_schema = true;
};
std::string ParquetBody(const std::vector<BatchPtr>& batches, const ParquetShape& shape = {});

Result<ReaderPtr> OpenIpc(const std::string& body);
Result<ReaderPtr> OpenParquetBody(const std::string& body);

// Reads to the end, checks every batch, and puts the batches together. Errors: the first one met.
Result<BatchPtr> ReadAll(const Result<ReaderPtr>& reader);

// Does with every batch of a hostile body what a write would, and touches every value that passed.
// Returns how many batches passed.
int64_t Digest(const Result<ReaderPtr>& reader);

// The process's resident memory; 0 under the address sanitizer.
int64_t ResidentBytes();

}  // namespace fletching::ingest::samples
