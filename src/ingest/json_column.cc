#include "ingest/json_column.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>
#include <type_traits>

#include "arrow/builder.h"
#include "arrow/type.h"
#include "arrow/util/base64.h"
#include "arrow/util/checked_cast.h"
#include "arrow/util/float16.h"

#include "fletching/schema.h"

#include "ingest/iso_time.h"

namespace fletching::ingest {
namespace {

using arrow::internal::checked_cast;
using TypePtr = std::shared_ptr<arrow::DataType>;

// For messages: short, one line.
std::string Shown(std::string_view text) {
  constexpr size_t kShownBytesMax = 40;
  std::string shown;
  for (const char letter : text.substr(0, kShownBytesMax)) {
    shown += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  if (text.size() > kShownBytesMax) shown += "...";
  return shown;
}

Status NotA(std::string_view value, const arrow::DataType& type) {
  return InvalidArgument(std::string(value) + " is not a valid " + TypeName(type));
}

Status DoesNotFit(std::string_view value, const arrow::DataType& type) {
  return InvalidArgument(std::string(value) + " does not fit " + TypeName(type));
}

// Exactly the integer that the digits say; 1.0 and 1e3 are not integers.
template <typename T>
Result<T> ParseInteger(std::string_view digits, const arrow::DataType& type) {
  T value{};
  if (digits == "-0") return value;  // which unsigned types would refuse
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  const bool is_integer = digits.find_first_of(".eE") == std::string_view::npos;
  if (error == std::errc() && stop == end) return value;
  return is_integer ? DoesNotFit(Shown(digits), type) : NotA(Shown(digits), type);
}

// The nearest T, rounded once. Too small becomes 0, too large is an error.
template <typename T>
Result<T> ParseFloat(std::string_view digits, const arrow::DataType& type) {
  T value{};
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (error == std::errc::result_out_of_range) {  // says not in which direction
    const std::string text(digits);
    value = std::is_same_v<T, float> ? static_cast<T>(std::strtof(text.c_str(), nullptr))
                                     : static_cast<T>(std::strtod(text.c_str(), nullptr));
  } else if (error != std::errc() || stop != end) {
    return NotA(Shown(digits), type);
  }
  if (std::isinf(value)) return DoesNotFit(Shown(digits), type);
  return value;
}

template <typename Builder>
class ScalarColumn : public JsonColumn {
 public:
  ScalarColumn(const TypePtr& type, arrow::MemoryPool* pool)
      : JsonColumn(type, std::make_shared<Builder>(type, pool)) {}

 protected:
  Builder& values() { return checked_cast<Builder&>(*builder()); }
};

class BoolColumn final : public ScalarColumn<arrow::BooleanBuilder> {
 public:
  using ScalarColumn::ScalarColumn;
  Status AppendBool(bool value) override { return values().Append(value); }
};

template <typename Builder>
class IntColumn final : public ScalarColumn<Builder> {
 public:
  using ScalarColumn<Builder>::ScalarColumn;
  Status AppendNumber(std::string_view digits) override {
    using Value = typename Builder::value_type;
    ARROW_ASSIGN_OR_RAISE(const auto value, ParseInteger<Value>(digits, this->type()));
    return this->values().Append(value);
  }
};

template <typename Builder>
class FloatColumn final : public ScalarColumn<Builder> {
 public:
  using ScalarColumn<Builder>::ScalarColumn;
  Status AppendNumber(std::string_view digits) override {
    using Value = typename Builder::value_type;
    ARROW_ASSIGN_OR_RAISE(const auto value, ParseFloat<Value>(digits, this->type()));
    return this->values().Append(value);
  }
};

class HalfFloatColumn final : public ScalarColumn<arrow::HalfFloatBuilder> {
 public:
  using ScalarColumn::ScalarColumn;
  Status AppendNumber(std::string_view digits) override {
    ARROW_ASSIGN_OR_RAISE(const double wide, ParseFloat<double>(digits, type()));
    const auto value = arrow::util::Float16::FromDouble(wide);
    if (value.is_infinity()) return DoesNotFit(Shown(digits), type());
    return values().Append(value.bits());
  }
};

class TextColumn final : public ScalarColumn<arrow::StringBuilder> {
 public:
  using ScalarColumn::ScalarColumn;
  Status AppendText(std::string_view text) override { return values().Append(text); }
};

class BinaryColumn final : public ScalarColumn<arrow::BinaryBuilder> {
 public:
  using ScalarColumn::ScalarColumn;
  Status AppendText(std::string_view text) override {
    const auto bytes = arrow::util::base64_decode(text);
    if (!bytes.ok()) return InvalidArgument("\"" + Shown(text) + "\" is not valid base64");
    return values().Append(*bytes);
  }
};

// Dates, times and timestamps: text or whole units.
template <typename Builder>
class TimeColumn final : public ScalarColumn<Builder> {
 public:
  using ScalarColumn<Builder>::ScalarColumn;
  using Value = typename Builder::value_type;

  Status AppendNumber(std::string_view digits) override {
    ARROW_ASSIGN_OR_RAISE(const auto value, ParseInteger<Value>(digits, this->type()));
    if (!IsInRange(value, this->type())) return DoesNotFit(Shown(digits), this->type());
    return this->values().Append(value);
  }

  Status AppendText(std::string_view text) override {
    const std::optional<int64_t> value = ParseIsoTime(text, this->type());
    if (!value.has_value()) return NotA("\"" + Shown(text) + "\"", this->type());
    return this->values().Append(static_cast<Value>(*value));
  }
};

template <typename Builder>
class ListColumn final : public JsonColumn {
 public:
  ListColumn(const TypePtr& type, std::unique_ptr<JsonColumn> values, arrow::MemoryPool* pool)
      : JsonColumn(type, std::make_shared<Builder>(pool, values->builder(), type)),
        values_(std::move(values)) {}

  Status BeginList() override {
    first_ = values_->length();
    return checked_cast<Builder&>(*builder()).Append();
  }

  Status EndList() override {
    const int64_t count = values_->length() - first_;
    if (type().id() != arrow::Type::FIXED_SIZE_LIST) return Status::OK();
    const int64_t width = checked_cast<const arrow::FixedSizeListType&>(type()).list_size();
    if (count == width) return Status::OK();
    return InvalidArgument("a list of " + std::to_string(count) + " values where the schema says " +
                           std::to_string(width));
  }

  JsonColumn* list_values() override { return values_.get(); }

 private:
  std::unique_ptr<JsonColumn> values_;
  int64_t first_ = 0;  // values before the open list
};

template <typename Builder>
Result<std::unique_ptr<JsonColumn>> MakeList(const TypePtr& type, arrow::MemoryPool* pool) {
  ARROW_ASSIGN_OR_RAISE(auto values, JsonColumn::Make(type->field(0)->type(), pool));
  return std::make_unique<ListColumn<Builder>>(type, std::move(values), pool);
}

}  // namespace

Result<std::unique_ptr<JsonColumn>> JsonColumn::Make(const TypePtr& type, arrow::MemoryPool* pool) {
  ARROW_RETURN_NOT_OK(CheckType(*type));
  switch (type->id()) {
    case arrow::Type::BOOL:
      return std::make_unique<BoolColumn>(type, pool);
    case arrow::Type::INT8:
      return std::make_unique<IntColumn<arrow::Int8Builder>>(type, pool);
    case arrow::Type::INT16:
      return std::make_unique<IntColumn<arrow::Int16Builder>>(type, pool);
    case arrow::Type::INT32:
      return std::make_unique<IntColumn<arrow::Int32Builder>>(type, pool);
    case arrow::Type::INT64:
      return std::make_unique<IntColumn<arrow::Int64Builder>>(type, pool);
    case arrow::Type::UINT8:
      return std::make_unique<IntColumn<arrow::UInt8Builder>>(type, pool);
    case arrow::Type::UINT16:
      return std::make_unique<IntColumn<arrow::UInt16Builder>>(type, pool);
    case arrow::Type::UINT32:
      return std::make_unique<IntColumn<arrow::UInt32Builder>>(type, pool);
    case arrow::Type::UINT64:
      return std::make_unique<IntColumn<arrow::UInt64Builder>>(type, pool);
    case arrow::Type::HALF_FLOAT:
      return std::make_unique<HalfFloatColumn>(type, pool);
    case arrow::Type::FLOAT:
      return std::make_unique<FloatColumn<arrow::FloatBuilder>>(type, pool);
    case arrow::Type::DOUBLE:
      return std::make_unique<FloatColumn<arrow::DoubleBuilder>>(type, pool);
    case arrow::Type::STRING:
      return std::make_unique<TextColumn>(type, pool);
    case arrow::Type::BINARY:
      return std::make_unique<BinaryColumn>(type, pool);
    case arrow::Type::DATE32:
      return std::make_unique<TimeColumn<arrow::Date32Builder>>(type, pool);
    case arrow::Type::TIME32:
      return std::make_unique<TimeColumn<arrow::Time32Builder>>(type, pool);
    case arrow::Type::TIME64:
      return std::make_unique<TimeColumn<arrow::Time64Builder>>(type, pool);
    case arrow::Type::TIMESTAMP:
      return std::make_unique<TimeColumn<arrow::TimestampBuilder>>(type, pool);
    case arrow::Type::LIST:
      return MakeList<arrow::ListBuilder>(type, pool);
    case arrow::Type::FIXED_SIZE_LIST:
      return MakeList<arrow::FixedSizeListBuilder>(type, pool);
    default:
      return Unsupported("type " + type->ToString() + " cannot be read from JSON");
  }
}

Status JsonColumn::AppendNull() { return builder_->AppendNull(); }
Status JsonColumn::AppendBool(bool) { return WrongKind("a boolean"); }
Status JsonColumn::AppendNumber(std::string_view digits) {
  return WrongKind("the number " + Shown(digits));
}
Status JsonColumn::AppendText(std::string_view text) {
  return WrongKind("the string \"" + Shown(text) + "\"");
}
Status JsonColumn::BeginList() { return WrongKind("an array"); }
Status JsonColumn::EndList() { return Status::OK(); }

int64_t JsonColumn::length() const { return builder_->length(); }
Result<std::shared_ptr<arrow::Array>> JsonColumn::Finish() { return builder_->Finish(); }

Status JsonColumn::WrongKind(std::string_view kind) const {
  return InvalidArgument(std::string(kind) + " where the schema says " + TypeName(*type_));
}

}  // namespace fletching::ingest
