// The table function behind the tables of a connection: rows of a RowSource, column by column as a
// query wants them, without a copy.
#include <algorithm>
#include <memory>
#include <utility>

#include <arrow/c/bridge.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "duck/duck_database.h"
#include "duck/query_stream.h"

namespace fletching::duck {
namespace {

class Converted {
 public:
  Converted(const DuckApi& api, Connection connection) : api_(api), connection_(connection) {}
  ~Converted() {
    if (schema_ != nullptr) api_.destroy_arrow_converted_schema(&schema_);
  }
  Converted(const Converted&) = delete;
  Converted& operator=(const Converted&) = delete;

  Status SetSchema(const arrow::Schema& schema) {
    ArrowSchema exported{};
    ARROW_RETURN_NOT_OK(arrow::ExportSchema(schema, &exported));
    const Status status = TakeError(api_, api_.schema_from_arrow(connection_, &exported, &schema_));
    if (exported.release != nullptr) exported.release(&exported);
    return status;
  }
  // The chunk keeps the batch's memory.
  Result<Chunk> ToChunk(const arrow::RecordBatch& batch) const {
    ArrowArray exported{};
    ARROW_RETURN_NOT_OK(arrow::ExportRecordBatch(batch, &exported));
    Chunk chunk = nullptr;
    const Status status =
        TakeError(api_, api_.data_chunk_from_arrow(connection_, &exported, schema_, &chunk));
    if (exported.release != nullptr) exported.release(&exported);
    ARROW_RETURN_NOT_OK(status);
    return chunk;
  }

 private:
  const DuckApi& api_;
  const Connection connection_;
  ConvertedSchema schema_ = nullptr;
};

// What a statement reads, as bound.
struct BoundRows {
  std::shared_ptr<DuckDatabase> database;
  std::shared_ptr<const RowSource> source;
};

// One scan of it.
struct RowScan {
  explicit RowScan(const BoundRows& bound)
      : database(bound.database), converted(database->api(), database->converter()) {}

  const std::shared_ptr<DuckDatabase> database;
  Converted converted;
  std::shared_ptr<arrow::RecordBatchReader> rows;
  std::shared_ptr<arrow::RecordBatch> batch;
  int64_t next_row = 0;
  uint64_t wanted_count = 0;  // columns of the answer; those behind are only counted
};

template <typename T>
void DeleteAs(void* data) {
  delete static_cast<T*>(data);
}

Status AddColumns(const BoundRows& bound, BindInfo info) {
  const DuckApi& api = bound.database->api();
  const auto& schema = bound.source->schema();
  Converted converted(api, bound.database->converter());
  ARROW_RETURN_NOT_OK(converted.SetSchema(*schema));
  ARROW_ASSIGN_OR_RAISE(const auto empty, arrow::RecordBatch::MakeEmpty(schema));
  ARROW_ASSIGN_OR_RAISE(Chunk chunk, converted.ToChunk(*empty));
  for (int c = 0; c < schema->num_fields(); ++c) {
    LogicalType type =
        api.vector_get_column_type(api.data_chunk_get_vector(chunk, static_cast<uint64_t>(c)));
    api.bind_add_result_column(info, schema->field(c)->name().c_str(), type);
    api.destroy_logical_type(&type);
  }
  api.destroy_data_chunk(&chunk);
  return Status::OK();
}

Status BeginScan(const BoundRows& bound, InitInfo info, RowScan* scan) {
  const DuckApi& api = bound.database->api();
  const auto field_count = static_cast<uint64_t>(bound.source->schema()->num_fields());
  std::vector<int> columns;
  for (uint64_t i = 0; i < api.init_get_column_count(info); ++i) {
    const uint64_t column = api.init_get_column_index(info, i);
    if (column >= field_count) break;  // rows are wanted, and none of their columns
    columns.push_back(static_cast<int>(column));
  }
  scan->wanted_count = columns.size();
  if (columns.empty()) columns.push_back(0);
  ARROW_ASSIGN_OR_RAISE(scan->rows, bound.source->Scan(columns));
  return scan->converted.SetSchema(*scan->rows->schema());
}

Status FillChunk(RowScan* scan, Chunk out) {
  const DuckApi& api = scan->database->api();
  while (scan->batch == nullptr || scan->next_row == scan->batch->num_rows()) {
    ARROW_RETURN_NOT_OK(scan->rows->ReadNext(&scan->batch));
    scan->next_row = 0;
    if (scan->batch != nullptr) continue;
    api.data_chunk_set_size(out, 0);
    return Status::OK();
  }
  const int64_t count = std::min(scan->batch->num_rows() - scan->next_row, kChunkRowsMax);
  if (scan->wanted_count > 0) {
    ARROW_ASSIGN_OR_RAISE(Chunk chunk,
                          scan->converted.ToChunk(*scan->batch->Slice(scan->next_row, count)));
    for (uint64_t c = 0; c < scan->wanted_count; ++c) {
      api.vector_reference_vector(api.data_chunk_get_vector(out, c),
                                  api.data_chunk_get_vector(chunk, c));
    }
    api.destroy_data_chunk(&chunk);
  }
  scan->next_row += count;
  api.data_chunk_set_size(out, static_cast<uint64_t>(count));
  return Status::OK();
}

const DuckApi& Loaded() { return *DuckApi::Load("").ValueOrDie(); }

void InitRows(InitInfo info) {
  const DuckApi& api = Loaded();
  const auto& bound = *static_cast<const BoundRows*>(api.init_get_bind_data(info));
  auto scan = std::make_unique<RowScan>(bound);
  const Status status = BeginScan(bound, info, scan.get());
  if (!status.ok()) return api.init_set_error(info, status.message().c_str());
  api.init_set_max_threads(info, 1);
  api.init_set_init_data(info, scan.release(), &DeleteAs<RowScan>);
}

void ReadRows(FunctionInfo info, Chunk out) {
  const DuckApi& api = Loaded();
  auto* const scan = static_cast<RowScan*>(api.function_get_init_data(info));
  const Status status = FillChunk(scan, out);
  if (!status.ok()) api.function_set_error(info, status.message().c_str());
}

}  // namespace

void DuckDatabase::BindRows(BindInfo info) {
  const DuckApi& api = Loaded();
  auto* const database = static_cast<DuckDatabase*>(api.bind_get_extra_info(info));
  Value number = api.bind_get_parameter(info, 0);
  auto bound = std::make_unique<BoundRows>();
  bound->database = database->shared_from_this();
  bound->source = database->FindShared(api.get_uint64(number));
  api.destroy_value(&number);
  if (bound->source == nullptr) return api.bind_set_error(info, "these rows are not shared");
  const Status status = AddColumns(*bound, info);
  if (!status.ok()) return api.bind_set_error(info, status.message().c_str());
  const int64_t rows = std::max<int64_t>(bound->source->row_count_guess(), 0);
  api.bind_set_cardinality(info, static_cast<uint64_t>(rows), false);
  api.bind_set_bind_data(info, bound.release(), &DeleteAs<BoundRows>);
}

Status DuckDatabase::RegisterRows() {
  constexpr int32_t kUint64Type = 9;
  TableFunction function = api_.create_table_function();
  LogicalType number = api_.create_logical_type(kUint64Type);
  api_.table_function_set_name(function, kRowsFunction);
  api_.table_function_add_parameter(function, number);
  api_.table_function_set_extra_info(function, this, nullptr);
  api_.table_function_set_bind(function, &DuckDatabase::BindRows);
  api_.table_function_set_init(function, &InitRows);
  api_.table_function_set_function(function, &ReadRows);
  api_.table_function_supports_projection_pushdown(function, true);
  const State state = api_.register_table_function(converter_, function);
  api_.destroy_logical_type(&number);
  api_.destroy_table_function(&function);
  return state == 0 ? Status::OK() : Unavailable("DuckDB does not take our table function");
}

}  // namespace fletching::duck
