#include "pull/partition_rows.h"

#include <atomic>
#include <future>
#include <unistd.h>
#include <utility>

#include <arrow/array.h>
#include <arrow/filesystem/filesystem.h>
#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "ingest/parquet_fetch.h"
#include "ingest/sources.h"

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
      : source_(std::move(source)), partition_(std::move(partition)), options_(std::move(options)) {
    arrow::FieldVector fields;
    for (const ColumnSchema& column : schema.columns) {
      names_.push_back(column.name);
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
    auto fetched = ingest::FetchParquet(*opened, {}, names_, SpoolPath(options_.spool_folder));
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
    auto reader = ingest::OpenParquet(*opened, {}, names_);
    ARROW_RETURN_NOT_OK(InFile(path, reader.status()));
    reader_ = *std::move(reader);
    for (const std::string& name : names_) {
      if (reader_->schema()->GetFieldIndex(name) >= 0) continue;
      return SchemaMismatch(path + ": column '" + name + "' is missing");
    }
    return Status::OK();
  }

  Status Select(const arrow::RecordBatch& batch, std::shared_ptr<arrow::RecordBatch>* out) const {
    arrow::ArrayVector columns;
    arrow::FieldVector fields;
    for (const std::string& name : names_) {
      columns.push_back(batch.GetColumnByName(name));
      if (columns.back() == nullptr) return SchemaMismatch("column '" + name + "' occurs twice");
      fields.push_back(arrow::field(name, columns.back()->type()));
    }
    *out = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), batch.num_rows(),
                                    std::move(columns));
    return Status::OK();
  }

  const Source source_;
  const Partition partition_;
  const PartitionRowsOptions options_;
  std::vector<std::string> names_;
  std::shared_ptr<arrow::Schema> schema_;
  size_t next_ = 0;  // file to open next
  std::shared_ptr<arrow::RecordBatchReader> reader_;
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
