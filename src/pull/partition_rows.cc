#include "pull/partition_rows.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <unistd.h>
#include <utility>
#include <vector>

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/scalar.h>
#include <arrow/type.h>

#include "ingest/parquet_fetch.h"
#include "ingest/sources.h"
#include "pull/hive_path.h"

namespace fletching::pull {
namespace {

using FilePtr = std::shared_ptr<arrow::io::RandomAccessFile>;

// One process may load several tables at a time.
std::string SpoolPath(const std::string& folder) {
  static std::atomic<uint64_t> number{0};
  return folder + "/pull-" + std::to_string(::getpid()) + "-" + std::to_string(number++) + ".tmp";
}

Status InFile(const std::string& path, const Status& status) {
  if (status.ok()) return status;
  return MakeError(CodeOf(status), path + ": " + status.message());
}

class PartitionReader final : public arrow::RecordBatchReader {
 public:
  PartitionReader(Source source, Partition partition, const TableSchema& schema,
                  PartitionRowsOptions options)
      : source_(std::move(source)),
        partition_(std::move(partition)),
        columns_(schema.columns),
        options_(std::move(options)) {
    arrow::FieldVector fields;
    for (const ColumnSchema& column : columns_) {
      fields.push_back(arrow::field(column.name, column.type));
    }
    schema_ = arrow::schema(std::move(fields));
  }

  // Types are those of the files; the table's own casts and checks come later.
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    while (true) {
      if (options_.check) ARROW_RETURN_NOT_OK(options_.check());
      if (reader_ == nullptr) {
        if (next_ == partition_.files.size()) return options_.at_end ? options_.at_end() : Status();
        ARROW_RETURN_NOT_OK(OpenNext());
      }
      const std::string& path = partition_.files[next_ - 1].path;
      std::shared_ptr<arrow::RecordBatch> batch;
      ARROW_RETURN_NOT_OK(InFile(path, reader_->ReadNext(&batch)));
      if (batch == nullptr) {
        reader_.reset();
        continue;
      }
      return InFile(path, Select(*batch, out));
    }
  }

 private:
  Result<FilePtr> Open(size_t at) const {
    const PartitionFile& file = partition_.files[at];
    auto opened = source_.files->OpenInputFile(file.path);
    if (!opened.ok()) return SourceError(source_, opened.status());
    if (!source_.is_remote) return opened;
    ARROW_ASSIGN_OR_RAISE(const HiveValues in_path, ValuesInPath(file.path));
    auto fetched =
        ingest::FetchParquet(*opened, {}, NamesInFile(in_path), SpoolPath(options_.spool_folder));
    if (!fetched.ok()) return SourceError(source_, fetched.status());
    return fetched;
  }

  // While one file is decoded the next is fetched.
  Status OpenNext() {
    auto opened = coming_.valid() ? coming_.get() : Open(next_);
    const std::string& path = partition_.files[next_].path;
    ARROW_RETURN_NOT_OK(InFile(path, opened.status()));
    ++next_;
    if (source_.is_remote && next_ < partition_.files.size()) {
      coming_ = std::async(std::launch::async, [this, at = next_] { return Open(at); });
    }
    return InFile(path, Begin(*opened, path));
  }

  Status Begin(const FilePtr& file, const std::string& path) {
    ARROW_ASSIGN_OR_RAISE(const HiveValues in_path, ValuesInPath(path));
    constants_.clear();
    for (const ColumnSchema& column : columns_) {
      const auto value = in_path.find(column.name);
      auto& constant = constants_.emplace_back();
      if (value == in_path.end()) continue;
      ARROW_ASSIGN_OR_RAISE(constant, HiveScalar(column, value->second));
    }
    const std::vector<std::string> names = NamesInFile(in_path);
    ARROW_ASSIGN_OR_RAISE(reader_, ingest::OpenParquet(file, {}, names));
    for (const std::string& name : names) {
      if (reader_->schema()->GetFieldIndex(name) >= 0) continue;
      return SchemaMismatch("column '" + name + "' is missing");
    }
    return Status::OK();
  }

  Result<HiveValues> ValuesInPath(const std::string& path) const {
    if (!options_.hive_columns) return HiveValues{};
    return ParseHivePath(path.substr(std::min(path.size(), source_.root.size() + 1)));
  }

  std::vector<std::string> NamesInFile(const HiveValues& in_path) const {
    std::vector<std::string> names;
    for (const ColumnSchema& column : columns_) {
      if (!in_path.contains(column.name)) names.push_back(column.name);
    }
    return names;
  }

  Status Select(const arrow::RecordBatch& batch, std::shared_ptr<arrow::RecordBatch>* out) const {
    arrow::ArrayVector columns;
    arrow::FieldVector fields;
    for (size_t at = 0; at < columns_.size(); ++at) {
      const std::string& name = columns_[at].name;
      if (constants_[at] == nullptr) {
        columns.push_back(batch.GetColumnByName(name));
      } else {
        ARROW_ASSIGN_OR_RAISE(columns.emplace_back(),
                              arrow::MakeArrayFromScalar(*constants_[at], batch.num_rows()));
      }
      if (columns.back() == nullptr) return SchemaMismatch("column '" + name + "' occurs twice");
      fields.push_back(arrow::field(name, columns.back()->type()));
    }
    *out = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(),
                                    std::move(columns));
    return Status::OK();
  }

  const Source source_;
  const Partition partition_;
  const std::vector<ColumnSchema> columns_;
  const PartitionRowsOptions options_;
  std::shared_ptr<arrow::Schema> schema_;
  size_t next_ = 0;                                        // file to open next
  std::shared_ptr<arrow::RecordBatchReader> reader_;       // of the file before next_
  std::vector<std::shared_ptr<arrow::Scalar>> constants_;  // its columns; null: in the file
  std::future<Result<FilePtr>> coming_;  // last: waits for a fetch that uses the rest
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenPartitionRows(const Source& source,
                                                                    const Partition& partition,
                                                                    const TableSchema& schema,
                                                                    PartitionRowsOptions options) {
  return std::make_shared<PartitionReader>(source, partition, schema, std::move(options));
}

}  // namespace fletching::pull
