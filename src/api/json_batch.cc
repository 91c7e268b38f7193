#include "api/json_batch.h"

#include <utility>

#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/float16.h"

#include "fletching/schema.h"

#include "api/json_text.h"
#include "api/time_text.h"

namespace fletching::api {
namespace {

Status AppendValues(std::string* out, const arrow::Array& array, int64_t start, int64_t count);

// One loop for every type: `append` writes the value at a row that is not null.
template <typename Append>
void AppendEach(std::string* out, const arrow::Array& array, int64_t start, int64_t count,
                const Append& append) {
  out->push_back('[');
  const bool has_nulls = array.null_count() > 0;
  for (int64_t row = start; row < start + count; ++row) {
    if (row > start) out->push_back(',');
    if (has_nulls && array.IsNull(row)) {
      out->append("null");
    } else {
      append(row);
    }
  }
  out->push_back(']');
}

template <typename ArrayType>
void AppendNumbers(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  using Value = typename ArrayType::TypeClass::c_type;
  const auto& numbers = static_cast<const ArrayType&>(array);
  const Value* values = numbers.raw_values();
  AppendEach(out, array, start, count, [&](int64_t row) {
    if constexpr (std::is_floating_point_v<Value>) {
      AppendJsonDouble(out, static_cast<double>(values[row]));
    } else if constexpr (std::is_unsigned_v<Value>) {
      AppendJsonUint(out, values[row]);
    } else {
      AppendJsonInt(out, values[row]);
    }
  });
}

void AppendHalfFloats(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  const auto& halves = static_cast<const arrow::HalfFloatArray&>(array);
  AppendEach(out, array, start, count, [&](int64_t row) {
    AppendJsonDouble(out, arrow::util::Float16::FromBits(halves.Value(row)).ToDouble());
  });
}

// Dates and times: text where there is one, else the number itself.
template <typename ArrayType, typename AppendText>
void AppendTemporal(std::string* out, const arrow::Array& array, int64_t start, int64_t count,
                    const AppendText& append_text) {
  const auto& values = static_cast<const ArrayType&>(array);
  AppendEach(out, array, start, count, [&](int64_t row) {
    const auto value = static_cast<int64_t>(values.Value(row));
    out->push_back('"');
    if (append_text(value)) {
      out->push_back('"');
    } else {
      out->pop_back();
      AppendJsonInt(out, value);
    }
  });
}

template <typename ArrayType>
void AppendTimes(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  const auto unit = static_cast<const arrow::TimeType&>(*array.type()).unit();
  AppendTemporal<ArrayType>(out, array, start, count,
                            [&](int64_t value) { return AppendTimeOfDay(out, value, unit); });
}

void AppendTimestamps(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  const auto& type = static_cast<const arrow::TimestampType&>(*array.type());
  const bool utc = !type.timezone().empty();
  AppendTemporal<arrow::TimestampArray>(out, array, start, count, [&](int64_t value) {
    return AppendTimestamp(out, value, type.unit(), utc);
  });
}

template <typename ListArray>
Status AppendLists(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  const auto& lists = static_cast<const ListArray&>(array);
  Status status;
  AppendEach(out, array, start, count, [&](int64_t row) {
    if (!status.ok()) return;
    status = AppendValues(out, *lists.values(), lists.value_offset(row), lists.value_length(row));
  });
  return status;
}

Status AppendScalars(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  switch (array.type_id()) {
    case arrow::Type::INT8:
      AppendNumbers<arrow::Int8Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::INT16:
      AppendNumbers<arrow::Int16Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::INT32:
      AppendNumbers<arrow::Int32Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::INT64:
      AppendNumbers<arrow::Int64Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::UINT8:
      AppendNumbers<arrow::UInt8Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::UINT16:
      AppendNumbers<arrow::UInt16Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::UINT32:
      AppendNumbers<arrow::UInt32Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::UINT64:
      AppendNumbers<arrow::UInt64Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::HALF_FLOAT:
      AppendHalfFloats(out, array, start, count);
      return Status::OK();
    case arrow::Type::FLOAT:
      AppendNumbers<arrow::FloatArray>(out, array, start, count);
      return Status::OK();
    case arrow::Type::DOUBLE:
      AppendNumbers<arrow::DoubleArray>(out, array, start, count);
      return Status::OK();
    case arrow::Type::DECIMAL128: {  // sums of integers in SQL; every digit
      const auto& decimals = static_cast<const arrow::Decimal128Array&>(array);
      AppendEach(out, array, start, count,
                 [&](int64_t row) { out->append(decimals.FormatValue(row)); });
      return Status::OK();
    }
    default:
      return Unsupported("a column of type " + TypeName(*array.type()) + " has no JSON form");
  }
}

Status AppendValues(std::string* out, const arrow::Array& array, int64_t start, int64_t count) {
  switch (array.type_id()) {
    case arrow::Type::BOOL: {
      const auto& bools = static_cast<const arrow::BooleanArray&>(array);
      AppendEach(out, array, start, count,
                 [&](int64_t row) { out->append(bools.Value(row) ? "true" : "false"); });
      return Status::OK();
    }
    case arrow::Type::STRING: {
      const auto& texts = static_cast<const arrow::StringArray&>(array);
      AppendEach(out, array, start, count,
                 [&](int64_t row) { AppendJsonString(out, texts.GetView(row)); });
      return Status::OK();
    }
    case arrow::Type::BINARY: {
      const auto& blobs = static_cast<const arrow::BinaryArray&>(array);
      AppendEach(out, array, start, count,
                 [&](int64_t row) { AppendJsonBase64(out, AsBytes(blobs.GetView(row))); });
      return Status::OK();
    }
    case arrow::Type::DATE32:
      AppendTemporal<arrow::Date32Array>(out, array, start, count,
                                         [&](int64_t days) { return AppendDate(out, days); });
      return Status::OK();
    case arrow::Type::TIME32:
      AppendTimes<arrow::Time32Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::TIME64:
      AppendTimes<arrow::Time64Array>(out, array, start, count);
      return Status::OK();
    case arrow::Type::TIMESTAMP:
      AppendTimestamps(out, array, start, count);
      return Status::OK();
    case arrow::Type::LIST:
      return AppendLists<arrow::ListArray>(out, array, start, count);
    case arrow::Type::FIXED_SIZE_LIST:
      return AppendLists<arrow::FixedSizeListArray>(out, array, start, count);
    default:
      return AppendScalars(out, array, start, count);
  }
}

}  // namespace

Result<std::string> RenderJsonColumns(const arrow::RecordBatch& batch,
                                      const arrow::Array* positions) {
  std::string out;
  // A guess that is right for short numbers; growing twice more costs little.
  out.reserve(static_cast<size_t>(batch.num_rows() * (batch.num_columns() + 1) * 12 + 64));
  out += "{\"columns\":{";
  bool first = true;
  if (positions != nullptr) {
    out += "\"_idx\":";
    ARROW_RETURN_NOT_OK(AppendValues(&out, *positions, 0, positions->length()));
    first = false;
  }
  for (int i = 0; i < batch.num_columns(); ++i) {
    if (!first) out += ',';
    first = false;
    AppendJsonString(&out, batch.schema()->field(i)->name());
    out += ':';
    ARROW_RETURN_NOT_OK(AppendValues(&out, *batch.column(i), 0, batch.num_rows()));
  }
  out += "}}";
  return out;
}

}  // namespace fletching::api
