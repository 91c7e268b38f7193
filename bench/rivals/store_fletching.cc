// Fletching's engine as a user has it: default options, one segment after compaction.
#include <numeric>

#include <arrow/api.h>

#include "fletching/engine.h"

#include "rivals/store.h"

namespace fletching::bench {
namespace {

constexpr char kTable[] = "bench";
constexpr int64_t kBatchRows = 64 * 1024;

void Must(const Status& status) {
  if (!status.ok()) yardstick::Fail(status.ToString());
}
template <typename T>
T Must(Result<T> result) {
  Must(result.status());
  return *std::move(result);
}

std::string FloatName(int64_t column) { return "f" + std::to_string(column); }
std::string TextName(int64_t column) { return "t" + std::to_string(column); }

TableSchema SchemaOf(const Workload& workload) {
  TableSchema schema;
  const auto key_type = workload.key_type == KeyType::kUtf8 ? arrow::utf8() : arrow::int64();
  schema.columns.push_back({.name = "id", .type = key_type, .nullable = false});
  for (int64_t c = 0; c < workload.shape.float_count; ++c) {
    schema.columns.push_back({.name = FloatName(c), .type = arrow::float32()});
  }
  for (int64_t c = 0; c < workload.shape.text_count; ++c) {
    schema.columns.push_back({.name = TextName(c), .type = arrow::utf8()});
  }
  schema.key = {"id"};
  return schema;
}

// Over the memory of `keys`, which must outlive it.
std::shared_ptr<arrow::Array> KeyArray(const ReadKeys& keys, KeyType type) {
  const std::shared_ptr<arrow::Buffer> bytes = arrow::Buffer::Wrap(keys.bytes);
  if (type == KeyType::kInt64) {
    return std::make_shared<arrow::Int64Array>(keys.count(), bytes);
  }
  return std::make_shared<arrow::StringArray>(keys.count(), arrow::Buffer::Wrap(keys.offsets),
                                              bytes);
}

std::shared_ptr<arrow::Array> FloatArray(uint64_t first, int64_t count, uint64_t column) {
  std::shared_ptr<arrow::Buffer> values = Must(arrow::AllocateBuffer(count * 4));
  auto* floats = reinterpret_cast<float*>(values->mutable_data());
  for (int64_t i = 0; i < count; ++i) {
    floats[i] = ValueOf(first + static_cast<uint64_t>(i), column);
  }
  return std::make_shared<arrow::FloatArray>(count, values);
}

std::shared_ptr<arrow::Array> TextArray(uint64_t first, int64_t count, uint64_t column) {
  arrow::StringBuilder builder;
  for (int64_t i = 0; i < count; ++i) {
    char text[kTextRoom];
    const int64_t size = WriteText(first + static_cast<uint64_t>(i), column, text);
    Must(builder.Append(text, static_cast<int32_t>(size)));
  }
  return Must(builder.Finish());
}

// The rows of a workload, made batch by batch; counts the time that the making takes.
class RowBatches final : public arrow::RecordBatchReader {
 public:
  explicit RowBatches(const Workload& workload) : workload_(workload) {
    const TableSchema table_schema = SchemaOf(workload);
    arrow::FieldVector fields;
    for (const ColumnSchema& column : table_schema.columns) {
      fields.push_back(arrow::field(column.name, column.type, column.nullable));
    }
    schema_ = arrow::schema(fields);
  }
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  int64_t making_nanos() const { return making_nanos_; }

  Status ReadNext(std::shared_ptr<arrow::RecordBatch>* batch) override {
    const int64_t start = yardstick::NowNanos();
    *batch = nullptr;
    const int64_t count = std::min(kBatchRows, workload_.rows - next_);
    if (count <= 0) return Status::OK();
    const auto first = static_cast<uint64_t>(next_);
    keys_.rows.resize(static_cast<size_t>(count));
    std::iota(keys_.rows.begin(), keys_.rows.end(), first);
    keys_.Encode(workload_.key_type);
    const auto keys = KeyArray(keys_, workload_.key_type);
    arrow::ArrayVector arrays{
        Must(arrow::Concatenate({keys}))};  // a copy: the engine may keep batches
    for (int64_t c = 0; c < workload_.shape.float_count; ++c) {
      arrays.push_back(FloatArray(first, count, static_cast<uint64_t>(c)));
    }
    for (int64_t c = 0; c < workload_.shape.text_count; ++c) {
      arrays.push_back(TextArray(first, count, static_cast<uint64_t>(c)));
    }
    *batch = arrow::RecordBatch::Make(schema_, count, std::move(arrays));
    next_ += count;
    making_nanos_ += yardstick::NowNanos() - start;
    return Status::OK();
  }

 private:
  const Workload workload_;
  std::shared_ptr<arrow::Schema> schema_;
  ReadKeys keys_;  // of the batch being made
  int64_t next_ = 0;
  int64_t making_nanos_ = 0;
};

double Load(const Workload& workload, const std::string&, const std::string& dir) {
  const auto engine = Must(Engine::Open({.data_dir = dir}));
  Must(engine->CreateTable(kTable, SchemaOf(workload)));
  RowBatches rows(workload);
  const int64_t start = yardstick::NowNanos();
  Must(engine->Write({.table = kTable}, &rows).status());
  Must(engine->Compact(kTable));
  return static_cast<double>(yardstick::NowNanos() - start - rows.making_nanos()) / 1e9;
}

class EngineReader final : public Reader {
 public:
  EngineReader(const Engine& engine, const Workload& workload)
      : engine_(engine), workload_(workload) {
    request_.table = kTable;
    request_.columns.emplace();
    for (const int64_t c : workload.shape.floats_read) request_.columns->push_back(FloatName(c));
    for (int64_t c = 0; c < workload.shape.text_count; ++c) {
      request_.columns->push_back(TextName(c));
    }
  }

  void Prepare(const ReadKeys& keys) override {
    result_ = {};
    request_.keys = {KeyArray(keys, workload_.key_type)};
  }
  void Read(const ReadKeys&) override { result_ = Must(engine_.Read(request_)); }

  Answer Result() const override {
    Answer answer;
    answer.found = result_.found->data();
    const arrow::RecordBatch& batch = *result_.batch;
    const auto float_count = std::ssize(workload_.shape.floats_read);
    for (int c = 0; c < batch.num_columns(); ++c) {
      CheckNulls(*batch.column(c));
      if (c < float_count) {
        const auto& values = static_cast<const arrow::FloatArray&>(*batch.column(c));
        answer.floats.push_back(values.raw_values());
      } else {
        const auto& texts = static_cast<const arrow::StringArray&>(*batch.column(c));
        answer.texts.push_back(
            {texts.raw_value_offsets(), reinterpret_cast<const char*>(texts.raw_data())});
      }
    }
    return answer;
  }

 private:
  // A value is null where its key was not found, and nowhere else.
  void CheckNulls(const arrow::Array& column) const {
    if (column.null_count() == 0 && result_.found_count == column.length()) return;
    for (int64_t i = 0; i < column.length(); ++i) {
      const bool is_found = (result_.found->data()[i >> 3] >> (i & 7)) & 1;
      if (column.IsValid(i) != is_found) yardstick::Fail("fletching: a null where a value belongs");
    }
  }

  const Engine& engine_;
  const Workload workload_;
  ReadRequest request_;
  ReadResult result_;
};

class EngineStore final : public Store {
 public:
  EngineStore(const OpenOptions& options, int64_t memory_budget_bytes)
      : workload_(options.workload),
        engine_(Must(Engine::Open({.data_dir = options.load_dir,
                                   .mode = OpenMode::kReadOnly,
                                   .memory_budget_bytes = memory_budget_bytes}))) {}
  std::unique_ptr<Reader> NewReader(int64_t) override {
    return std::make_unique<EngineReader>(*engine_, workload_);
  }

 private:
  const Workload workload_;
  const std::unique_ptr<Engine> engine_;
};

}  // namespace

StoreKind FletchingKind() {
  StoreKind kind{.name = "fletching", .settings = {}, .load = Load, .open = nullptr};
  kind.settings = {
      {.name = "default", .reason = "Engine::Read, default options", .load = "default"},
      {.name = "memory_budget",
       .reason = "a memory budget of --cache-bytes: for data beyond memory",
       .load = "default",
       .only_by_name = true}};
  kind.open = [](const Setting& setting, const OpenOptions& options) -> std::unique_ptr<Store> {
    return std::make_unique<EngineStore>(options,
                                         setting.name == "memory_budget" ? options.cache_bytes : 0);
  };
  return kind;
}

}  // namespace fletching::bench
