#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <set>
#include <string>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/base64.h"
#include "arrow/util/key_value_metadata.h"
#include "parquet/arrow/reader.h"
#include "parquet/exception.h"
#include "parquet/file_reader.h"
#include "parquet/metadata.h"
#include "parquet/properties.h"
#include "parquet/schema.h"

#include "ingest/budget.h"
#include "ingest/ipc_metadata_guard.h"
#include "ingest/parquet_footer_guard.h"
#include "ingest/parquet_rows.h"
#include "ingest/sources.h"
#include "ingest/spooled_body.h"

namespace fletching::ingest {
namespace {

constexpr std::string_view kBodyKind = "Parquet";
constexpr std::string_view kMagic = "PAR1";
constexpr int64_t kTailBytes = 8;  // length of the footer, then the magic
// A page and a dictionary, both of the size that Arrow and others write.
constexpr int64_t kColumnPagesBytes = int64_t{2} << 20;
// Parts of the budget that a batch and a window of rows are planned for: a batch leaves room for
// the pages of every column, and for dictionaries that make it larger than the footer tells.
constexpr int64_t kBatchShare = 16;
constexpr int64_t kWindowShare = 2;
constexpr int64_t kStepRowsMin = 128;
// Every window decodes what lies before it again, so their number is bounded.
constexpr int64_t kWindowsMax = 64;
// A file that is read, not mapped: bytes held for each column.
constexpr int64_t kColumnReadBytes = int64_t{64} << 10;
constexpr int64_t kForgetBytes = int64_t{16} << 20;
constexpr int64_t kNewlineSampleBytes = int64_t{64} << 10;

// parquet-cpp and Thrift report by exception; none may leave this file.
template <typename Body>
Status CatchAll(const Body& body) {
  try {
    return body();
  } catch (const parquet::ParquetStatusException& error) {
    return error.status();
  } catch (const std::bad_alloc&) {
    return Status::OutOfMemory("out of memory");
  } catch (const std::exception& error) {
    return Status::Invalid(error.what());
  }
}

Result<std::string> ReadText(arrow::io::RandomAccessFile& source, int64_t offset, int64_t count) {
  ARROW_ASSIGN_OR_RAISE(const auto bytes, source.ReadAt(offset, count));
  return bytes->ToString();
}

// What `curl -d @file` does to a body: it drops line ends, which every Parquet file of this size
// has by chance alone.
bool HasLostItsNewlines(arrow::io::RandomAccessFile& source, int64_t size) {
  const auto sample = ReadText(source, 0, std::min(size, kNewlineSampleBytes));
  return sample.ok() && sample->size() >= 512 && sample->find_first_of("\r\n") == std::string::npos;
}

Status MangledBody(const std::string& what, int64_t size) {
  return InvalidArgument("Parquet: " + what + " (" + std::to_string(size) +
                         " bytes arrived); it was cut short or lost bytes on the way. With curl, "
                         "send it by --data-binary @file: -d drops line ends");
}

// The parts of the tail that tell what went wrong better than parquet-cpp does; then the footer.
Status CheckEnds(arrow::io::RandomAccessFile& source, int64_t size, const DecodeLimits& limits) {
  if (size == 0) return InvalidArgument("Parquet: the body is empty");
  const int64_t magic_bytes = static_cast<int64_t>(kMagic.size());
  ARROW_ASSIGN_OR_RAISE(const std::string head, ReadText(source, 0, std::min(size, magic_bytes)));
  if (head == "PARE") return InvalidArgument("Parquet: the file is encrypted");
  if (head != kMagic) return InvalidArgument("Parquet: the body does not start with PAR1");
  if (size < magic_bytes + kTailBytes) return MangledBody("the body has no footer", size);
  ARROW_ASSIGN_OR_RAISE(const std::string tail, ReadText(source, size - kTailBytes, kTailBytes));
  if (tail.substr(4) != kMagic) return MangledBody("the body does not end with PAR1", size);
  const int64_t footer_bytes = LoadAs<uint32_t>(tail.data());
  if (footer_bytes > size - kTailBytes - magic_bytes) {
    return MangledBody("the footer is longer than the body", size);
  }
  if (footer_bytes > limits.piece_bytes_max / 2) {
    return TooLarge("Parquet: the footer has " + ByteText(footer_bytes) +
                    "; write fewer row groups");
  }
  ARROW_ASSIGN_OR_RAISE(const auto footer,
                        source.ReadAt(size - kTailBytes - footer_bytes, footer_bytes));
  const ByteSpan bytes(footer->data(), static_cast<size_t>(footer->size()));
  return CheckParquetFooter(bytes, limits.piece_bytes_max / 2);
}

// Arrow writes its own schema into the footer, as an IPC message in base64, and unpacks it again.
Status CheckStoredSchema(const parquet::FileMetaData& metadata, const DecodeLimits& limits) {
  if (metadata.key_value_metadata() == nullptr) return Status::OK();
  const auto stored = metadata.key_value_metadata()->Get("ARROW:schema");
  if (!stored.ok()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const std::string message, arrow::util::base64_decode(*stored));
  // An optional continuation marker, then the length of the metadata.
  size_t start = sizeof(uint32_t);
  if (message.size() >= start && LoadAs<uint32_t>(message.data()) == 0xffffffffu) start *= 2;
  if (message.size() <= start) return InvalidArgument("the stored Arrow schema is damaged");
  return CheckIpcMetadata(AsBytes(message).subspan(start), limits);
}

// What the footer says of one row group's columns. May be a lie: only plans are made from it.
struct GroupEstimate {
  int64_t row_bytes = 1;   // of one decoded row
  int64_t page_bytes = 0;  // held while all columns advance together
};

GroupEstimate Estimate(const parquet::RowGroupMetaData& group, const std::vector<int>& leaves) {
  const double rows = static_cast<double>(std::max<int64_t>(group.num_rows(), 1));
  double row_bytes = 1;
  GroupEstimate estimate;
  for (const int leaf : leaves) {
    const auto chunk = group.ColumnChunk(leaf);
    const parquet::ColumnDescriptor* column = group.schema()->Column(leaf);
    const double values = static_cast<double>(std::max<int64_t>(chunk->num_values(), 0));
    double width = std::max(1, parquet::GetTypeByteSize(column->physical_type()));
    if (column->physical_type() == parquet::Type::FIXED_LEN_BYTE_ARRAY) {
      width = column->type_length();
    }
    const int64_t encoded = std::max<int64_t>(chunk->total_uncompressed_size(), 0);
    row_bytes += std::max(width * values, static_cast<double>(encoded)) / rows;
    estimate.page_bytes += std::min(encoded, kColumnPagesBytes);
  }
  estimate.row_bytes = static_cast<int64_t>(std::min(row_bytes, 1e12));
  return estimate;
}

class ParquetReader final : public arrow::RecordBatchReader {
 public:
  ParquetReader(std::shared_ptr<arrow::io::RandomAccessFile> source, const DecodeLimits& limits)
      : limits_(limits), budget_(limits.piece_bytes_max), source_(std::move(source)) {}

  Status Open(const std::optional<std::vector<std::string>>& columns) {
    ARROW_ASSIGN_OR_RAISE(size_, source_->GetSize());
    const Status ends = CheckEnds(*source_, size_, limits_);
    if (!ends.ok()) return Explain(ends);
    return Explain(CatchAll([&] { return OpenFile(columns); }));
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* out) override {
    *out = nullptr;
    ARROW_RETURN_NOT_OK(failure_);
    failure_ = Explain(CatchAll([&] { return ReadBatch(out); }));
    if (!failure_.ok()) *out = nullptr;
    return failure_;
  }

 private:
  Status OpenFile(const std::optional<std::vector<std::string>>& columns) {
    parquet::ReaderProperties file_properties(budget_.pool());
    file_properties.set_schema_depth_limit(2 * limits_.nesting_max);  // lists take two levels
    file_properties.set_page_checksum_verification(true);
    if (!source_->supports_zero_copy()) {
      file_properties.enable_buffered_stream();
      file_properties.set_buffer_size(kColumnReadBytes);
    }
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(source_, file_properties));
    metadata_ = builder.raw_reader()->metadata();
    if (metadata_->schema()->group_node()->field_count() > limits_.column_count_max) {
      return TooLarge("the file has more than " + std::to_string(limits_.column_count_max) +
                      " columns");
    }
    ARROW_RETURN_NOT_OK(CheckStoredSchema(*metadata_, limits_));
    parquet::ArrowReaderProperties properties(/*use_threads=*/false);
    properties.set_pre_buffer(false);
    // Nanoseconds, the default, end in 2262 and wrap round without a word.
    properties.set_coerce_int96_timestamp_unit(arrow::TimeUnit::MICRO);
    builder.memory_pool(budget_.pool())->properties(properties);
    ARROW_ASSIGN_OR_RAISE(file_, builder.Build());
    ChooseLeaves(columns);
    if (leaves_.empty()) {
      schema_ = arrow::schema({});
      return Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const auto probe, file_->GetRecordBatchReader({}, AllLeaves()));
    schema_ = probe->schema();
    return Status::OK();
  }

  // Parquet numbers the leaves of the tree; a list column is one leaf below its name.
  void ChooseLeaves(const std::optional<std::vector<std::string>>& columns) {
    std::set<std::string> wanted;
    if (columns.has_value()) wanted.insert(columns->begin(), columns->end());
    const parquet::SchemaDescriptor& tree = *metadata_->schema();
    const parquet::schema::Node* last_root = nullptr;
    for (int leaf = 0; leaf < tree.num_columns(); ++leaf) {
      const parquet::schema::Node* root = tree.GetColumnRoot(leaf);
      if (columns.has_value() && !wanted.contains(root->name())) continue;
      if (root != std::exchange(last_root, root)) leaves_.emplace_back();
      leaves_.back().push_back(leaf);
    }
  }

  std::vector<int> AllLeaves() const {
    std::vector<int> all;
    for (const std::vector<int>& column : leaves_)
      all.insert(all.end(), column.begin(), column.end());
    return all;
  }

  Status ReadBatch(std::shared_ptr<arrow::RecordBatch>* out) {
    // Without columns, parquet-cpp makes all batches at once, as many as the footer claims.
    if (leaves_.empty()) return Status::OK();
    while (*out == nullptr) {
      if (rows_ == nullptr) {
        if (next_group_ == metadata_->num_row_groups()) return Status::OK();
        ARROW_RETURN_NOT_OK(OpenRowGroup(next_group_++));
      }
      ARROW_RETURN_NOT_OK(NextRows(out));
      if (*out == nullptr) rows_ = nullptr;
    }
    row_in_group_ += (*out)->num_rows();
    ForgetPages((*out)->num_rows());
    return Status::OK();
  }

  Status OpenRowGroup(int group) {
    const auto metadata = metadata_->RowGroup(group);
    if (metadata->num_rows() < 0) return InvalidArgument("a row group has a negative row count");
    const GroupEstimate estimate = Estimate(*metadata, AllLeaves());
    row_bytes_ = estimate.row_bytes;
    // Between one and two budgets it may still succeed, and streaming is several times faster.
    if (estimate.page_bytes / 2 > limits_.piece_bytes_max) plan_.windowed = true;
    place_ = {file_.get(), source_.get(), group, leaves_, metadata->num_rows(), schema_};
    row_in_group_ = 0;
    plan_.step_rows = std::min(plan_.step_rows, StepRows(plan_.windowed));
    rows_ = RowGroupRows::Make(place_, plan_, row_in_group_, budget_.pool());
    return Status::OK();
  }

  // Where the budget does not suffice, again in smaller steps, then column by column.
  Status NextRows(std::shared_ptr<arrow::RecordBatch>* out) {
    while (true) {
      const Status status = CatchAll([&]() -> Status { return rows_->Next().Value(out); });
      if (status.ok() || budget_.refused_bytes() == 0 || !Economize()) return status;
      budget_.ForgetRefusal();
      rows_ = nullptr;  // frees its memory before the next one takes some
      rows_ = RowGroupRows::Make(place_, plan_, row_in_group_, budget_.pool());
    }
  }

  bool Economize() {
    if (plan_.step_rows > kStepRowsMin) {
      plan_.step_rows = std::max(plan_.step_rows / 8, kStepRowsMin);
    } else if (!plan_.windowed && leaves_.size() > 1) {
      plan_ = {.windowed = true, .step_rows = StepRows(true)};
    } else {
      return false;
    }
    return !plan_.windowed || place_.row_count / plan_.step_rows <= kWindowsMax;
  }

  int64_t StepRows(bool windowed) const {
    const int64_t bytes = limits_.piece_bytes_max / (windowed ? kWindowShare : kBatchShare);
    return std::clamp<int64_t>(bytes / row_bytes_, 1, limits_.batch_rows_max);
  }

  void ForgetPages(int64_t rows) {
    unforgotten_bytes_ += rows * row_bytes_;
    if (unforgotten_bytes_ < kForgetBytes) return;
    ForgetReadPages(*source_);
    unforgotten_bytes_ = 0;
  }

  Status Explain(const Status& status) {
    if (status.ok()) return status;
    const Status error = BodyError(kBodyKind, status, budget_);
    const bool hinted = error.message().find("--data-binary") != std::string::npos;
    if (hinted || CodeOf(error) != ErrorCode::kInvalidArgument ||
        !HasLostItsNewlines(*source_, size_)) {
      return error;
    }
    return MangledBody(error.message() + ", and the body has no line ends", size_);
  }

  const DecodeLimits limits_;
  Budget budget_;  // before what allocates from it
  std::shared_ptr<arrow::io::RandomAccessFile> source_;
  int64_t size_ = 0;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::unique_ptr<parquet::arrow::FileReader> file_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::vector<int>> leaves_;  // by column
  int next_group_ = 0;
  RowGroupPlace place_{};
  RowGroupPlan plan_{.windowed = false, .step_rows = std::numeric_limits<int64_t>::max()};
  std::unique_ptr<RowGroupRows> rows_;  // of row group next_group_ - 1
  int64_t row_in_group_ = 0;            // first row not handed out
  int64_t row_bytes_ = 0;
  int64_t unforgotten_bytes_ = 0;
  Status failure_;
};

}  // namespace

Result<std::shared_ptr<arrow::RecordBatchReader>> OpenParquet(
    std::shared_ptr<arrow::io::RandomAccessFile> source, const DecodeLimits& limits,
    const std::optional<std::vector<std::string>>& columns) {
  auto reader = std::make_shared<ParquetReader>(std::move(source), limits);
  ARROW_RETURN_NOT_OK(reader->Open(columns));
  return reader;
}

}  // namespace fletching::ingest
