#include "engine/test_model.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include <arrow/api.h>
#include <arrow/util/float16.h>

#include "base/check.h"

namespace fletching::engine {
namespace {

using arrow::Type;

template <typename T>
T ValueAt(const arrow::Array& column, int64_t row) {
  return column.data()->GetValues<T>(1)[row];
}

std::string FloatText(double value) {
  if (value != value) return "fnan";
  char text[40];
  std::snprintf(text, sizeof(text), "f%a", value);
  return text;
}

void AppendSized(std::string* text, const std::string& part) {
  *text += std::to_string(part.size()) + ":" + part;
}

std::string ItemsText(const arrow::Array& items, int64_t first, int64_t count) {
  std::string text = "[";
  for (int64_t i = first; i < first + count; ++i) {
    const Cell item = CellOf(items, i);
    if (item.has_value()) {
      AppendSized(&text, *item);
    } else {
      text += "null";
    }
    text += ",";
  }
  return text + "]";
}

int64_t UnitsPerSecond(const arrow::DataType& type) {
  switch (static_cast<const arrow::TimestampType&>(type).unit()) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return 1'000'000;
    case arrow::TimeUnit::NANO:
      return 1'000'000'000;
  }
  return 0;
}

int64_t FromMicros(const arrow::DataType& type, int64_t micros) {
  const int64_t units = UnitsPerSecond(type);
  return units >= 1'000'000 ? micros * (units / 1'000'000) : micros / (1'000'000 / units);
}

int64_t ToMicros(const arrow::DataType& type, int64_t event_time) {
  const int64_t units = UnitsPerSecond(type);
  return units >= 1'000'000 ? event_time / (units / 1'000'000) : event_time * (1'000'000 / units);
}

KeyArrays KeysOf(const TableSchema& schema, const arrow::RecordBatch& batch) {
  KeyArrays keys;
  for (const std::string& name : schema.key) keys.push_back(batch.GetColumnByName(name));
  return keys;
}

int64_t RandomInteger(Random& random, int bits, bool is_signed) {
  const int64_t max = is_signed ? (int64_t{1} << (bits - 2)) - 1 + (int64_t{1} << (bits - 2))
                                : (bits == 64 ? INT64_MAX : (int64_t{1} << bits) - 1);
  switch (random.Below(6)) {
    case 0:
      return 0;
    case 1:
      return max;
    case 2:
      return is_signed ? -max - 1 : 1;
    default:
      return random.Below(100);
  }
}

std::string RandomText(Random& random) {
  switch (random.Below(8)) {
    case 0:
      return "";
    case 1:
      return std::string(static_cast<size_t>(random.Below(300)), 'x');
    case 2:
      return "na\xc3\xafve \xe2\x82\xac";
    default:
      return "v" + std::to_string(random.Below(1000));
  }
}

double RandomFloat(Random& random) {
  switch (random.Below(8)) {
    case 0:
      return 0.0;
    case 1:
      return -0.0;
    case 2:
      return __builtin_nan("");
    case 3:
      return __builtin_inf();
    default:
      return static_cast<double>(random.Below(2000) - 1000) / 8;
  }
}

template <typename Builder, typename Value>
void Put(arrow::ArrayBuilder* builder, Value value) {
  FLETCHING_CHECK(static_cast<Builder*>(builder)->Append(value).ok());
}

void PutInteger(arrow::ArrayBuilder* builder, int64_t value) {
  switch (builder->type()->id()) {
    case Type::BOOL:
      return Put<arrow::BooleanBuilder>(builder, (value & 1) != 0);
    case Type::INT8:
      return Put<arrow::Int8Builder>(builder, static_cast<int8_t>(value));
    case Type::INT16:
      return Put<arrow::Int16Builder>(builder, static_cast<int16_t>(value));
    case Type::INT32:
      return Put<arrow::Int32Builder>(builder, static_cast<int32_t>(value));
    case Type::INT64:
      return Put<arrow::Int64Builder>(builder, value);
    case Type::UINT8:
      return Put<arrow::UInt8Builder>(builder, static_cast<uint8_t>(value));
    case Type::UINT16:
      return Put<arrow::UInt16Builder>(builder, static_cast<uint16_t>(value));
    case Type::UINT32:
      return Put<arrow::UInt32Builder>(builder, static_cast<uint32_t>(value));
    case Type::UINT64:
      return Put<arrow::UInt64Builder>(builder, static_cast<uint64_t>(value));
    case Type::DATE32:
      return Put<arrow::Date32Builder>(builder, static_cast<int32_t>(value));
    case Type::TIME32:
      return Put<arrow::Time32Builder>(builder, static_cast<int32_t>(value));
    case Type::TIME64:
      return Put<arrow::Time64Builder>(builder, value);
    case Type::TIMESTAMP:
      return Put<arrow::TimestampBuilder>(builder, value);
    default:
      FLETCHING_CHECK(false);
  }
}

void PutRandom(arrow::ArrayBuilder* builder, int null_percent, Random& random);

void PutRandomList(arrow::ArrayBuilder* builder, Random& random) {
  const int null_percent = random.Chance(30) ? 30 : 0;
  if (builder->type()->id() == Type::LIST) {
    auto* list = static_cast<arrow::ListBuilder*>(builder);
    FLETCHING_CHECK(list->Append().ok());
    for (int64_t i = random.Below(5); i > 0; --i) {
      PutRandom(list->value_builder(), null_percent, random);
    }
    return;
  }
  auto* list = static_cast<arrow::FixedSizeListBuilder*>(builder);
  FLETCHING_CHECK(list->Append().ok());
  const std::shared_ptr<arrow::DataType> held = builder->type();
  const int32_t size = static_cast<const arrow::FixedSizeListType&>(*held).list_size();
  for (int32_t i = 0; i < size; ++i) {
    PutRandom(list->value_builder(), null_percent, random);
  }
}

void PutRandom(arrow::ArrayBuilder* builder, int null_percent, Random& random) {
  if (random.Chance(null_percent)) {
    FLETCHING_CHECK(builder->AppendNull().ok());
    return;
  }
  // Held: a list builder makes its type anew at each call.
  const std::shared_ptr<arrow::DataType> held = builder->type();
  const arrow::DataType& type = *held;
  switch (type.id()) {
    case Type::STRING:
      return Put<arrow::StringBuilder>(builder, RandomText(random));
    case Type::BINARY:
      return Put<arrow::BinaryBuilder>(builder, RandomText(random) + std::string("\0\xff", 2));
    case Type::HALF_FLOAT:
      return Put<arrow::HalfFloatBuilder>(
          builder, arrow::util::Float16::FromDouble(RandomFloat(random)).bits());
    case Type::FLOAT:
      return Put<arrow::FloatBuilder>(builder, static_cast<float>(RandomFloat(random)));
    case Type::DOUBLE:
      return Put<arrow::DoubleBuilder>(builder, RandomFloat(random));
    case Type::LIST:
    case Type::FIXED_SIZE_LIST:
      return PutRandomList(builder, random);
    case Type::TIME32:
      return PutInteger(builder, random.Below(80'000));
    case Type::TIME64:
      return PutInteger(builder, random.Below(80'000'000'000));
    case Type::BOOL:
      return PutInteger(builder, random.Below(2));
    default: {
      const int bits = static_cast<const arrow::FixedWidthType&>(type).bit_width();
      PutInteger(builder, RandomInteger(random, bits, !arrow::is_unsigned_integer(type.id())));
    }
  }
}

// One of `key_count` keys; part of a composite key, so other parts may differ.
void PutKey(arrow::ArrayBuilder* builder, int64_t number) {
  switch (builder->type()->id()) {
    case Type::STRING: {
      // Short, long and empty ones, and pairs that share all but the last byte.
      const std::string text = number == 0       ? ""
                               : number % 7 == 3 ? std::string(200, 'k') + std::to_string(number)
                                                 : "key" + std::to_string(number);
      return Put<arrow::StringBuilder>(builder, text);
    }
    case Type::BINARY:
      return Put<arrow::BinaryBuilder>(
          builder, std::string(static_cast<size_t>(number % 5), '\0') + std::to_string(number));
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
      return PutInteger(builder, number % 2 == 0 ? number : -number);
    default:
      return PutInteger(builder, number);
  }
}

std::shared_ptr<arrow::Array> FinishArray(arrow::ArrayBuilder* builder) {
  return builder->Finish().ValueOrDie();
}

std::unique_ptr<arrow::ArrayBuilder> BuilderFor(const std::shared_ptr<arrow::DataType>& type) {
  return arrow::MakeBuilder(type).ValueOrDie();
}

template <typename Builder>
std::shared_ptr<arrow::Array> Rebuild(const arrow::StringArray& text) {
  Builder builder;
  for (int64_t i = 0; i < text.length(); ++i) {
    const Status status = text.IsNull(i) ? builder.AppendNull() : builder.Append(text.GetView(i));
    FLETCHING_CHECK(status.ok());
  }
  return FinishArray(&builder);
}

template <typename T>
const T& Pick(const std::vector<T>& items, Random& random) {
  return items[static_cast<size_t>(random.Below(static_cast<int64_t>(items.size())))];
}

const std::vector<std::shared_ptr<arrow::DataType>>& ValueTypes() {
  using arrow::TimeUnit;
  static const std::vector<std::shared_ptr<arrow::DataType>> types = {
      arrow::boolean(),
      arrow::int8(),
      arrow::int16(),
      arrow::int32(),
      arrow::int64(),
      arrow::uint8(),
      arrow::uint16(),
      arrow::uint32(),
      arrow::uint64(),
      arrow::float16(),
      arrow::float32(),
      arrow::float64(),
      arrow::utf8(),
      arrow::binary(),
      arrow::utf8(),
      arrow::float32(),
      arrow::date32(),
      arrow::time32(TimeUnit::SECOND),
      arrow::time64(TimeUnit::NANO),
      arrow::timestamp(TimeUnit::MILLI),
      arrow::timestamp(TimeUnit::NANO, "UTC"),
      arrow::list(arrow::int32()),
      arrow::list(arrow::float64()),
      arrow::list(arrow::utf8()),
      arrow::fixed_size_list(arrow::float32(), 4),
      arrow::fixed_size_list(arrow::int8(), 9)};
  return types;
}

}  // namespace

Cell CellOf(const arrow::Array& column, int64_t row) {
  if (column.IsNull(row)) return std::nullopt;
  switch (column.type_id()) {
    case Type::BOOL:
      return static_cast<const arrow::BooleanArray&>(column).Value(row) ? "b1" : "b0";
    case Type::INT8:
      return "i" + std::to_string(ValueAt<int8_t>(column, row));
    case Type::INT16:
      return "i" + std::to_string(ValueAt<int16_t>(column, row));
    case Type::INT32:
    case Type::DATE32:
    case Type::TIME32:
      return "i" + std::to_string(ValueAt<int32_t>(column, row));
    case Type::INT64:
    case Type::TIME64:
    case Type::TIMESTAMP:
      return "i" + std::to_string(ValueAt<int64_t>(column, row));
    case Type::UINT8:
      return "i" + std::to_string(ValueAt<uint8_t>(column, row));
    case Type::UINT16:
      return "i" + std::to_string(ValueAt<uint16_t>(column, row));
    case Type::UINT32:
      return "i" + std::to_string(ValueAt<uint32_t>(column, row));
    case Type::UINT64:
      return "i" + std::to_string(ValueAt<uint64_t>(column, row));
    case Type::HALF_FLOAT:
      return FloatText(arrow::util::Float16::FromBits(ValueAt<uint16_t>(column, row)).ToDouble());
    case Type::FLOAT:
      return FloatText(ValueAt<float>(column, row));
    case Type::DOUBLE:
      return FloatText(ValueAt<double>(column, row));
    case Type::STRING:
    case Type::BINARY:
      return "s" + static_cast<const arrow::BinaryArray&>(column).GetString(row);
    case Type::LIST: {
      const auto& list = static_cast<const arrow::ListArray&>(column);
      return ItemsText(*list.values(), list.value_offset(row), list.value_length(row));
    }
    case Type::FIXED_SIZE_LIST: {
      const auto& list = static_cast<const arrow::FixedSizeListArray&>(column);
      return ItemsText(*list.values(), list.value_offset(row), list.value_length(row));
    }
    default:
      FLETCHING_CHECK(false);
  }
}

std::string KeyText(const KeyArrays& keys, int64_t row) {
  std::string text;
  for (const auto& key : keys) AppendSized(&text, *CellOf(*key, row));
  return text;
}

bool ModelTable::Write(const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches,
                       WriteMode mode, int64_t now_us) {
  const std::vector<std::string> names = schema_.ValueColumnNames();
  std::vector<std::pair<std::string, Record>> rows;
  for (const auto& batch : batches) {
    const KeyArrays keys = KeysOf(schema_, *batch);
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      Record record;
      record.commit_time_us = now_us;
      const std::string key = KeyText(keys, row);
      const Cells* before = Find(key, now_us);
      for (size_t c = 0; c < names.size(); ++c) {
        const auto column = batch->GetColumnByName(names[c]);
        FLETCHING_CHECK(column != nullptr || mode == WriteMode::kPatch);
        record.cells.push_back(column != nullptr   ? CellOf(*column, row)
                               : before != nullptr ? (*before)[c]
                                                   : std::nullopt);
        if (!record.cells.back().has_value() && !schema_.Find(names[c])->nullable) return false;
        if (names[c] == schema_.event_time) record.event_time = ValueAt<int64_t>(*column, row);
      }
      rows.emplace_back(key, std::move(record));
    }
  }
  for (auto& [key, record] : rows) Apply(key, std::move(record));
  return true;
}

void ModelTable::Delete(const KeyArrays& keys, std::optional<int64_t> event_time_us,
                        int64_t now_us) {
  Record record;
  record.is_tombstone = true;
  record.commit_time_us = now_us;
  if (!schema_.event_time.empty()) {
    record.event_time =
        FromMicros(*schema_.Find(schema_.event_time)->type, event_time_us.value_or(now_us));
  }
  for (int64_t row = 0; row < keys[0]->length(); ++row) Apply(KeyText(keys, row), record);
}

// In tables with event times the newest event wins, and a deletion is an event like any other.
void ModelTable::Apply(const std::string& key, Record record) {
  const auto found = records_.find(key);
  if (found != records_.end() && found->second.event_time > record.event_time) return;
  records_[key] = std::move(record);
}

void ModelTable::AddColumn(const ColumnSchema& column) {
  schema_.columns.push_back(column);
  for (auto& [key, record] : records_) {
    if (!record.is_tombstone) record.cells.emplace_back();
  }
}

void ModelTable::WidenColumn(const std::string& name, std::shared_ptr<arrow::DataType> type) {
  const std::vector<std::string> names = schema_.ValueColumnNames();
  for (ColumnSchema& column : schema_.columns) {
    if (column.name == name) column.type = type;
  }
  if (type->id() != Type::FLOAT && type->id() != Type::DOUBLE) return;
  for (auto& [key, record] : records_) {
    for (size_t c = 0; c < record.cells.size(); ++c) {
      Cell& cell = record.cells[c];
      if (names[c] != name || !cell.has_value() || (*cell)[0] != 'i') continue;
      cell = FloatText(static_cast<double>(std::stoll(cell->substr(1))));
    }
  }
}

bool ModelTable::IsLive(const Record& record, int64_t now_us) const {
  if (record.is_tombstone) return false;
  if (schema_.ttl_ms == 0) return true;
  const int64_t born_us =
      schema_.event_time.empty()
          ? record.commit_time_us
          : ToMicros(*schema_.Find(schema_.event_time)->type, record.event_time);
  return now_us - born_us <= schema_.ttl_ms * 1000;
}

const Cells* ModelTable::Find(const std::string& key, int64_t now_us) const {
  const auto found = records_.find(key);
  if (found == records_.end() || !IsLive(found->second, now_us)) return nullptr;
  return &found->second.cells;
}

std::map<std::string, Cells> ModelTable::Live(int64_t now_us) const {
  std::map<std::string, Cells> live;
  for (const auto& [key, record] : records_) {
    if (IsLive(record, now_us)) live[key] = record.cells;
  }
  return live;
}

Result<std::map<std::string, Cells>> ReadRows(Engine& engine, const std::string& table) {
  ARROW_ASSIGN_OR_RAISE(const TableInfo info, engine.GetTable(table));
  ARROW_RETURN_NOT_OK(info.health);
  ARROW_ASSIGN_OR_RAISE(const auto reader, engine.Scan({.table = table}));
  std::map<std::string, Cells> rows;
  std::shared_ptr<arrow::RecordBatch> batch;
  while (true) {
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) return rows;
    ARROW_RETURN_NOT_OK(batch->ValidateFull());
    const KeyArrays keys = KeysOf(info.schema, *batch);
    ARROW_ASSIGN_OR_RAISE(const ReadResult looked_up, engine.Read({.table = table, .keys = keys}));
    ARROW_RETURN_NOT_OK(looked_up.batch->ValidateFull());
    for (int64_t row = 0; row < batch->num_rows(); ++row) {
      Cells& cells = rows[KeyText(keys, row)];
      for (const std::string& name : info.schema.ValueColumnNames()) {
        cells.push_back(CellOf(*batch->GetColumnByName(name), row));
        if (CellOf(*looked_up.batch->GetColumnByName(name), row) != cells.back()) {
          return MakeError(ErrorCode::kInternal, "scan and read disagree in column " + name);
        }
      }
    }
  }
}

std::string DumpRows(const std::map<std::string, Cells>& rows) {
  const auto escaped = [](const std::string& text) {
    std::string out;
    for (const unsigned char byte : text) {
      if (byte > ' ' && byte < 0x7f && byte != '\\' && byte != '|') {
        out += static_cast<char>(byte);
        continue;
      }
      char hex[5];
      std::snprintf(hex, sizeof(hex), "\\x%02x", byte);
      out += hex;
    }
    return out;
  };
  std::string text;
  for (const auto& [key, cells] : rows) {
    text += escaped(key);
    for (const Cell& cell : cells) text += " | " + (cell.has_value() ? escaped(*cell) : "null");
    text += "\n";
  }
  return text;
}

ColumnSchema RandomColumn(const std::string& name, Random& random) {
  return {.name = name, .type = Pick(ValueTypes(), random), .nullable = random.Chance(75)};
}

TableSchema RandomSchema(Random& random) {
  static const std::vector<std::shared_ptr<arrow::DataType>> key_types = {
      arrow::utf8(),   arrow::utf8(),
      arrow::binary(), arrow::int64(),
      arrow::int32(),  arrow::int8(),
      arrow::uint16(), arrow::uint64(),
      arrow::date32(), arrow::timestamp(arrow::TimeUnit::MICRO)};
  TableSchema schema;
  const int64_t value_count = random.Below(7);
  for (int64_t i = 0; i < value_count; ++i) {
    schema.columns.push_back(RandomColumn("v" + std::to_string(i), random));
  }
  const int64_t key_count = random.Chance(60) ? 1 : 2 + random.Below(2);
  for (int64_t i = 0; i < key_count; ++i) {
    const std::string name = "k" + std::to_string(i);
    // Keys need not stand first, nor in key order.
    schema.columns.insert(
        schema.columns.begin() + random.Below(static_cast<int64_t>(schema.columns.size()) + 1),
        {.name = name, .type = Pick(key_types, random), .nullable = false});
    schema.key.push_back(name);
  }
  if (random.Chance(45)) {
    schema.event_time = "at";
    schema.columns.push_back(
        {.name = "at",
         .type = arrow::timestamp(static_cast<arrow::TimeUnit::type>(random.Below(4)))});
  }
  if (random.Chance(35)) schema.ttl_ms = 20'000;
  return schema;
}

std::shared_ptr<arrow::DataType> WiderType(const arrow::DataType& type, Random& random) {
  std::vector<std::shared_ptr<arrow::DataType>> wider;
  for (const auto& candidate : ValueTypes()) {
    if (!type.Equals(*candidate) && IsWidening(type, *candidate)) wider.push_back(candidate);
  }
  return wider.empty() ? nullptr : Pick(wider, random);
}

KeyArrays RandomKeys(const TableSchema& schema, int64_t count, const Domain& domain,
                     Random& random) {
  KeyArrays keys;
  for (const std::string& name : schema.key) {
    const auto builder = BuilderFor(schema.Find(name)->type);
    // Parts of a composite key come from fewer values, so that whole keys collide too.
    const int64_t distinct = schema.key.size() == 1 ? domain.key_count : domain.key_count / 6 + 1;
    for (int64_t i = 0; i < count; ++i) PutKey(builder.get(), random.Below(distinct));
    keys.push_back(FinishArray(builder.get()));
  }
  return keys;
}

std::shared_ptr<arrow::RecordBatch> RandomBatch(const TableSchema& schema,
                                                const std::vector<std::string>& columns,
                                                int64_t row_count, const Domain& domain,
                                                Random& random) {
  const KeyArrays keys = RandomKeys(schema, row_count, domain, random);
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (const std::string& name : columns) {
    const ColumnSchema& column = *schema.Find(name);
    fields.push_back(arrow::field(name, column.type));
    const auto key = std::find(schema.key.begin(), schema.key.end(), name);
    if (key != schema.key.end()) {
      arrays.push_back(keys[static_cast<size_t>(key - schema.key.begin())]);
      continue;
    }
    const auto builder = BuilderFor(column.type);
    const int style = static_cast<int>(random.Below(10));  // all null and hardly ever null, too
    const int null_percent = !column.nullable ? 0
                             : style == 0     ? 100
                             : style == 1     ? 95
                             : style == 2     ? 0
                                              : domain.null_percent;
    for (int64_t i = 0; i < row_count; ++i) {
      if (name == schema.event_time) {
        PutInteger(
            builder.get(),
            FromMicros(*column.type, domain.now_us + 1'000 * (random.Below(40'000) - 30'000)));
      } else {
        PutRandom(builder.get(), null_percent, random);
      }
    }
    arrays.push_back(FinishArray(builder.get()));
  }
  return arrow::RecordBatch::Make(arrow::schema(std::move(fields)), row_count, std::move(arrays));
}

std::shared_ptr<arrow::Array> Disguise(const std::shared_ptr<arrow::Array>& column,
                                       Random& random) {
  if (random.Chance(30)) {  // a slice of something longer
    const auto before = column->Slice(0, std::min<int64_t>(column->length(), random.Below(5)));
    return arrow::Concatenate({before, column, before})
        .ValueOrDie()
        ->Slice(before->length(), column->length());
  }
  if (column->type_id() != Type::STRING || random.Chance(40)) return column;
  const auto& text = static_cast<const arrow::StringArray&>(*column);
  return random.Chance(50) ? Rebuild<arrow::LargeStringBuilder>(text)
                           : Rebuild<arrow::StringDictionary32Builder>(text);
}

}  // namespace fletching::engine
