#include "api/write_body.h"

#include <string>
#include <utility>
#include <vector>

#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"

#include "ingest/sources.h"

namespace fletching::api {
namespace {

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenJson(const Body& body,
                                                           const TableSchema& schema) {
  ARROW_ASSIGN_OR_RAISE(const Body loaded, body.Loaded());
  ARROW_ASSIGN_OR_RAISE(auto batch, ingest::ParseJsonColumns(loaded.text(), schema, true));
  return arrow::RecordBatchReader::Make({batch}, batch->schema());
}

}  // namespace

WriteRequest WriteTo(std::string table) {
  WriteRequest write;
  write.table = std::move(table);
  write.ignore_extra_columns = true;
  return write;
}

Result<bool> TakeWriteOption(std::string_view name, std::string_view value, WriteRequest* write) {
  const std::string shown = "'" + std::string(value.substr(0, 64)) + "'";
  if (name == "mode") {
    if (value != "replace" && value != "patch") {
      return InvalidArgument("mode is 'replace' or 'patch', not " + shown);
    }
    write->mode = value == "patch" ? WriteMode::kPatch : WriteMode::kReplace;
    return true;
  }
  if (name == "extra_columns") {
    if (value != "ignore" && value != "error") {
      return InvalidArgument("extra_columns is 'ignore' or 'error', not " + shown);
    }
    write->ignore_extra_columns = value == "ignore";
    return true;
  }
  return false;
}

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenWriteBody(const Body& body, BodyFormat format,
                                                                const TableSchema& schema,
                                                                int64_t piece_bytes_max) {
  const ingest::DecodeLimits limits{.piece_bytes_max = piece_bytes_max};
  if (format == BodyFormat::kJson) return OpenJson(body, schema);
  if (format == BodyFormat::kArrow) return ingest::OpenIpcStream(body.Open(), limits);
  std::vector<std::string> columns;
  for (const ColumnSchema& column : schema.columns) columns.push_back(column.name);
  return ingest::OpenParquet(body.Open(), limits, columns);
}

}  // namespace fletching::api
