#include "table/test_table.h"

#include <algorithm>
#include <utility>

#include <arrow/api.h>

#include "base/check.h"

namespace fletching::table {
namespace {

std::string CellText(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return "null";
  switch (column.type_id()) {  // the common ones, without a scalar for each
    case arrow::Type::INT32:
      return std::to_string(static_cast<const arrow::Int32Array&>(column).Value(row));
    case arrow::Type::INT64:
      return std::to_string(static_cast<const arrow::Int64Array&>(column).Value(row));
    case arrow::Type::STRING:
      return static_cast<const arrow::StringArray&>(column).GetString(row);
    case arrow::Type::LIST: {
      const auto& lists = static_cast<const arrow::ListArray&>(column);
      std::string text = "[";
      for (int64_t i = 0; i < lists.value_length(row); ++i) {
        text += CellText(*lists.values(), lists.value_offset(row) + i) + ",";
      }
      return text + "]";
    }
    default:
      return column.GetScalar(row).ValueOrDie()->ToString();
  }
}

std::string RowText(const arrow::RecordBatch& batch, int64_t row) {
  std::string text;
  for (const auto& column : batch.columns()) text += CellText(*column, row) + " ";
  return text;
}

}  // namespace

Status PlainCaster::Validate(const arrow::Array& column) const { return column.ValidateFull(); }

Result<std::shared_ptr<arrow::Array>> PlainCaster::Cast(
    const std::shared_ptr<arrow::Array>& column, const std::shared_ptr<arrow::DataType>& type,
    bool /*strict*/) const {
  return SchemaMismatch(column->type()->ToString() + " where the schema says " + type->ToString());
}

std::shared_ptr<arrow::Array> ArrayOf(const std::shared_ptr<arrow::DataType>& type,
                                      const Ints& values) {
  arrow::ScalarVector scalars;
  for (const auto& value : values) {
    scalars.push_back(value.has_value() ? arrow::MakeScalar(type, *value).ValueOrDie()
                                        : arrow::MakeNullScalar(type));
  }
  const auto builder = arrow::MakeBuilder(type).ValueOrDie();
  FLETCHING_CHECK(builder->AppendScalars(scalars).ok());
  return builder->Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> ArrayOf(const Texts& values) {
  arrow::StringBuilder builder;
  for (const auto& value : values) {
    FLETCHING_CHECK((value.has_value() ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return builder.Finish().ValueOrDie();
}

std::shared_ptr<arrow::Array> ArrayOfLists(int64_t rows, int count) {
  auto items = std::make_shared<arrow::Int32Builder>();
  arrow::ListBuilder lists(arrow::default_memory_pool(), items);
  for (int64_t row = 0; row < rows; ++row) {
    FLETCHING_CHECK(lists.Append().ok());
    for (int i = 1; i <= count; ++i) FLETCHING_CHECK(items->Append(i).ok());
  }
  return lists.Finish().ValueOrDie();
}

std::vector<uint8_t> BytesOf(io::FileSystem* disk, const std::string& path) {
  const auto file = disk->Map(path).ValueOrDie();
  return {file->bytes().begin(), file->bytes().end()};
}

void PutBytes(io::FileSystem* disk, const std::string& path, const std::vector<uint8_t>& bytes) {
  if (disk->Exists(path)) FLETCHING_CHECK(disk->Remove(path).ok());
  const auto file = disk->Create(path).ValueOrDie();
  FLETCHING_CHECK(file->Append(bytes).ok() && file->Sync().ok() && file->Close().ok());
}

std::vector<std::string> FilesOf(io::FileSystem* disk, const std::string& folder,
                                 std::string_view ending) {
  std::vector<std::string> paths;
  for (const io::FolderEntry& entry : disk->List(folder).ValueOrDie()) {
    if (entry.name.ends_with(ending)) paths.push_back(folder + "/" + entry.name);
  }
  return paths;
}

LogSpan LastFrameOf(const std::vector<uint8_t>& log) {
  LogSpan last;
  last.end = sizeof(format::LogHeader);
  while (last.end + sizeof(format::FrameHeader) <= log.size()) {
    const auto frame = LoadAs<format::FrameHeader>(log.data() + last.end);
    if (frame.magic != format::kFrameMagic) break;  // reserved space
    last.begin = last.end;
    last.end += sizeof(format::FrameHeader) + frame.payload_bytes;
  }
  return last;
}

std::string RowsText(const ReadResult& result) {
  FLETCHING_CHECK(result.batch->ValidateFull().ok());
  std::string text;
  for (int64_t row = 0; row < result.batch->num_rows(); ++row) {
    const bool is_found = GetBit(result.found->data(), row);
    text += (is_found ? RowText(*result.batch, row) : "missing ") + "| ";
  }
  return text;
}

Result<std::string> RowsText(arrow::RecordBatchReader* reader) {
  std::vector<std::string> rows;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) break;
    FLETCHING_CHECK(batch->ValidateFull().ok());
    for (int64_t row = 0; row < batch->num_rows(); ++row) rows.push_back(RowText(*batch, row));
  }
  std::sort(rows.begin(), rows.end());
  std::string text;
  for (const std::string& row : rows) text += row + "| ";
  return text;
}

TestTable::TestTable(io::FileSystem* disk, const TableSchema& schema, int64_t small_write_bytes_max)
    : schema_(schema) {
  context.file_system = disk;
  context.clock = &clock;
  context.caster = &caster_;
  context.random = [this] { return random_ += 0x9e3779b97f4a7c15; };
  context.wake_worker = [] {};
  context.memtable_bytes_max = 1 << 16;
  context.small_write_bytes_max = small_write_bytes_max;
  if (!disk->Exists(kFolder)) {
    opened_ = Table::Create(context, kFolder, "t", schema);
    if (opened_.ok()) opened_ = disk->SyncFolder("/");  // as the engine does
  }
  if (opened_.ok()) opened_ = Open();
}

Status TestTable::Open() {
  table_.reset();
  return Table::Open(context, kFolder, true).Value(&table_);
}

Result<WriteResult> TestTable::Write(std::vector<std::shared_ptr<arrow::Array>> columns,
                                     WriteMode mode) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (size_t c = 0; c < columns.size(); ++c) {
    fields.push_back(arrow::field(schema_.columns[c].name, columns[c]->type()));
  }
  const auto batch =
      arrow::RecordBatch::Make(arrow::schema(std::move(fields)), columns[0]->length(), columns);
  const auto reader = arrow::RecordBatchReader::Make({batch}).ValueOrDie();
  return table_->Write({.table = "t", .mode = mode}, reader.get());
}

Result<WriteResult> TestTable::Delete(std::shared_ptr<arrow::Array> keys,
                                      std::optional<int64_t> event_time_us) {
  return table_->Delete({.table = "t", .keys = {std::move(keys)}, .event_time_us = event_time_us});
}

std::string TestTable::Show(std::shared_ptr<arrow::Array> keys) {
  const auto result = table_->Read({.table = "t", .keys = {std::move(keys)}});
  return result.ok() ? RowsText(*result) : result.status().ToString();
}

std::string TestTable::ShowAll() {
  const auto reader = table_->Scan({.table = "t"});
  const auto text = reader.ok() ? RowsText(reader->get()) : reader.status();
  return text.ok() ? *text : text.status().ToString();
}

}  // namespace fletching::table
