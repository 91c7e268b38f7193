// What a table answers without changing: reads, scans, facts.
#include "table/table.h"

#include <algorithm>
#include <utility>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/matrix.h"
#include "base/metrics.h"
#include "table/merge_scan.h"
#include "table/read.h"

namespace fletching::table {
namespace {

constexpr int64_t kScanRows = 64 * 1024;

// All live rows of one pinned version.
class ScanReader final : public arrow::RecordBatchReader {
 public:
  ScanReader(Pinned<Version> version, std::shared_ptr<arrow::Schema> schema,
             std::vector<std::string> names, int64_t limit_rows, int64_t now_us)
      : version_(std::move(version)),
        schema_(std::move(schema)),
        names_(std::move(names)),
        left_(limit_rows < 0 ? INT64_MAX : limit_rows),
        scan_(*version_->state, version_->sources, version_->commit, now_us, false) {
    for (const std::string& name : names_) {
      if (const ColumnSchema* column = version_->state->FindValue(name)) {
        values_.push_back(column);
      }
    }
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    const Status status = ReadUnchecked(batch);
    const Status intact = CheckIntact(version_->sources);
    if (!intact.ok()) *batch = nullptr;
    return intact.ok() ? status : intact;
  }

 private:
  Status ReadUnchecked(std::shared_ptr<arrow::RecordBatch>* batch) {
    *batch = nullptr;
    if (left_ == 0) return Status::OK();
    MergeChunk chunk;
    ARROW_ASSIGN_OR_RAISE(const bool has_more, scan_.Next(std::min(kScanRows, left_), &chunk));
    if (!has_more) return Status::OK();
    left_ -= static_cast<int64_t>(chunk.keys.size());
    ARROW_ASSIGN_OR_RAISE(const auto keys,
                          segment::DecodeKeys(version_->state->schema, chunk.keys));
    ARROW_ASSIGN_OR_RAISE(const auto values,
                          GatherRows(*chunk.source, values_, -1, chunk.Selection()));
    std::vector<std::shared_ptr<arrow::Array>> columns;
    size_t next_value = 0;
    for (const std::string& name : names_) {
      const auto& key_names = version_->state->schema.key;
      const auto key = std::find(key_names.begin(), key_names.end(), name);
      columns.push_back(key != key_names.end() ? keys[static_cast<size_t>(key - key_names.begin())]
                                               : values[next_value++]);
    }
    *batch = arrow::RecordBatch::Make(schema_, static_cast<int64_t>(chunk.keys.size()),
                                      std::move(columns));
    return Status::OK();
  }

  Pinned<Version> version_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::string> names_;
  std::vector<const ColumnSchema*> values_;
  int64_t left_;
  MergeScan scan_;
};

Result<std::shared_ptr<arrow::RecordBatchReader>> ScanVersion(Pinned<Version> version,
                                                              const ScanRequest& request,
                                                              int64_t now_us) {
  const TableSchema& schema = version->state->schema;
  std::vector<std::string> names;
  if (request.columns.has_value()) {
    names = *request.columns;
  } else {
    names = schema.key;
    for (const ColumnSchema& column : version->state->value_columns) names.push_back(column.name);
  }
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const std::string& name : names) {
    const ColumnSchema* column = schema.Find(name);
    if (column == nullptr) {
      return InvalidArgument("column '" + name + "' does not exist in this table");
    }
    fields.push_back(arrow::field(name, column->type, !schema.IsKey(name)));
  }
  return std::make_shared<ScanReader>(std::move(version), arrow::schema(std::move(fields)),
                                      std::move(names), request.limit_rows, now_us);
}

int64_t RowCountMax(const Version& version) {
  int64_t count = 0;
  for (const Source& source : version.sources) {
    count += source.segment == nullptr ? static_cast<int64_t>(source.memtable->key_count())
                                       : static_cast<int64_t>(source.segment->live_row_count());
  }
  return count;
}

class PinnedVersion final : public PinnedTable {
 public:
  // now_us: rows that expired before it are gone, whenever they are read.
  PinnedVersion(Pinned<Version> version, int64_t now_us)
      : version_(std::move(version)), now_us_(now_us) {}
  const TableSchema& schema() const override { return version_->state->schema; }
  uint64_t version() const override { return version_->commit; }
  int64_t row_count_max() const override { return RowCountMax(*version_); }
  Result<std::shared_ptr<arrow::RecordBatchReader>> Scan(
      const ScanRequest& request) const override {
    return ScanVersion(version_.Again(), request, now_us_);
  }

 private:
  const Pinned<Version> version_;
  const int64_t now_us_;
};

}  // namespace

Result<ReadResult> Table::ReadAt(const Version& version, const ReadRequest& request) const {
  const TableState& state = *version.state;
  ARROW_ASSIGN_OR_RAISE(const auto projection, Projection::Make(state, request.columns));
  ARROW_ASSIGN_OR_RAISE(const segment::KeyBatch keys,
                        PrepareKeys(state, *context_.caster, request.keys));
  auto result =
      ReadVersion(version, keys, *projection, request.hits_only, state.ttl_us == 0 ? 0 : Now());
  if (result.ok()) CountKeys(result->found_count, keys.count);
  return result;
}

Result<MatrixResult> Table::ReadMatrix(const MatrixRequest& request) const {
  const Pinned<Version> version = PinVersion();
  const TableState& state = *version->state;
  ARROW_ASSIGN_OR_RAISE(const auto columns, FindColumns(state, request.columns));
  ARROW_ASSIGN_OR_RAISE(const segment::KeyBatch keys,
                        PrepareKeys(state, *context_.caster, request.keys));
  ARROW_RETURN_NOT_OK(CheckShape(request.out, keys.count, static_cast<int64_t>(columns.size())));
  auto result = ReadMatrixOf(*version, keys, columns, request, state.ttl_us == 0 ? 0 : Now());
  if (result.ok()) CountKeys(result->found_count, keys.count);
  return result;
}

void Table::CountKeys(int64_t found_count, int64_t key_count) const {
  if (found_count > 0) counters_.hits->Add(found_count);
  if (key_count > found_count) counters_.misses->Add(key_count - found_count);
}

Result<std::shared_ptr<arrow::RecordBatchReader>> Table::Scan(const ScanRequest& request) const {
  return ScanVersion(PinVersion(), request, Now());
}

Result<std::shared_ptr<const PinnedTable>> Table::Pin() const {
  return std::make_shared<PinnedVersion>(PinVersion(), Now());
}

TableInfo Table::Info() const {
  const Pinned<Version> version = PinVersion();
  TableInfo info;
  info.name = name_;
  info.schema = version->state->schema;
  info.version = version->commit;
  info.generation = version->state->generation;
  info.row_count = RowCountMax(*version);
  for (const Source& source : version->sources) {
    if (source.segment == nullptr) {
      info.memory_bytes += static_cast<int64_t>(source.memtable->used_bytes());
      continue;
    }
    info.disk_bytes += static_cast<int64_t>(source.segment->file_bytes());
    ++info.segment_count;
  }
  info.disk_bytes += log_bytes_.load(std::memory_order_relaxed);
  return info;
}

}  // namespace fletching::table
