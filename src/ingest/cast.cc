#include "ingest/cast.h"

#include <limits>
#include <string>
#include <utility>

#include "arrow/array.h"
#include "arrow/array/util.h"
#include "arrow/builder.h"
#include "arrow/compute/cast.h"
#include "arrow/extension_type.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "arrow/util/checked_cast.h"

#include "fletching/schema.h"

#include "ingest/list_cast.h"
#include "ingest/unfold.h"

namespace fletching::ingest {
namespace {

using arrow::internal::checked_cast;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

constexpr int64_t kMillisPerDay = 24 * 60 * 60 * 1000;

Status Mismatch(const arrow::DataType& from, const arrow::DataType& to, std::string_view hint) {
  return SchemaMismatch(TypeName(from) + " column where the schema says " + TypeName(to) + "; " +
                        std::string(hint));
}

bool IsZoned(const arrow::DataType& type) {
  return !checked_cast<const arrow::TimestampType&>(type).timezone().empty();
}

bool IsTime(const arrow::DataType& type) {
  return type.id() == arrow::Type::TIME32 || type.id() == arrow::Type::TIME64;
}

bool AdmitsNumber(const arrow::DataType& from, const arrow::DataType& to, const CastRules& rules) {
  if (IsWidening(from, to)) return true;
  if (arrow::is_floating(from.id()) && arrow::is_floating(to.id())) {
    return rules.allow_float_narrowing;
  }
  return rules.allow_int_narrowing && arrow::is_integer(from.id()) && arrow::is_integer(to.id());
}

// Pairs of leaf types that differ, but may be cast; values that do not fit still stop the cast.
bool Admits(const arrow::DataType& from, const arrow::DataType& to, const CastRules& rules) {
  switch (to.id()) {
    case arrow::Type::STRING:
      return from.id() == arrow::Type::LARGE_STRING || from.id() == arrow::Type::STRING_VIEW;
    case arrow::Type::BINARY:
      return arrow::is_base_binary_like(from.id()) || arrow::is_binary_view_like(from.id()) ||
             from.id() == arrow::Type::FIXED_SIZE_BINARY;
    case arrow::Type::DATE32:
      return from.id() == arrow::Type::DATE64;
    case arrow::Type::TIME32:
    case arrow::Type::TIME64:
      return IsTime(from);
    case arrow::Type::TIMESTAMP:
      // Two zones name the same instants; with and without a zone is a guess.
      return from.id() == arrow::Type::TIMESTAMP && IsZoned(from) == IsZoned(to);
    default:
      return AdmitsNumber(from, to, rules);
  }
}

std::string_view HintFor(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.id() == arrow::Type::TIMESTAMP && to.id() == arrow::Type::TIMESTAMP) {
    return IsZoned(to) ? "attach the time zone that the values are meant in"
                       : "convert the values to the time that is meant and drop the zone";
  }
  return "cast it first";
}

// Arrow's cast rounds towards midnight without a word.
Status CheckWholeDays(const arrow::Date64Array& dates) {
  for (int64_t row = 0; row < dates.length(); ++row) {
    if (dates.IsValid(row) && dates.Value(row) % kMillisPerDay != 0) {
      return SchemaMismatch("row " + std::to_string(row) +
                            ": a date64 with a time of day does not fit date32");
    }
  }
  return Status::OK();
}

// By hand, because Arrow's cast (26.0) follows views in null slots, which may point anywhere.
template <typename Builder>
Result<ArrayPtr> CopyViews(const arrow::BinaryViewArray& views) {
  Builder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(views.length()));
  for (int64_t row = 0; row < views.length(); ++row) {
    ARROW_RETURN_NOT_OK(views.IsNull(row) ? builder.AppendNull()
                                          : builder.Append(views.GetView(row)));
  }
  return builder.Finish();
}

Result<ArrayPtr> CastLeaf(const ArrayPtr& column, const TypePtr& target, const CastRules& rules) {
  const arrow::DataType& from = *column->type();
  if (!Admits(from, *target, rules)) return Mismatch(from, *target, HintFor(from, *target));
  if (from.id() == arrow::Type::DATE64) {
    ARROW_RETURN_NOT_OK(CheckWholeDays(checked_cast<const arrow::Date64Array&>(*column)));
  }
  if (arrow::is_binary_view_like(from.id())) {
    const auto& views = checked_cast<const arrow::BinaryViewArray&>(*column);
    return target->id() == arrow::Type::STRING ? CopyViews<arrow::StringBuilder>(views)
                                               : CopyViews<arrow::BinaryBuilder>(views);
  }
  Result<ArrayPtr> result = arrow::compute::Cast(*column, target);
  if (result.ok()) return result;
  if (result.status().IsNotImplemented()) return Mismatch(from, *target, "cast it first");
  return SchemaMismatch(TypeName(from) + " column does not fit " + TypeName(*target) + ": " +
                        result.status().message());
}

Result<ArrayPtr> CastDictionary(const ArrayPtr& column, const TypePtr& target,
                                const CastRules& rules) {
  const TypePtr& value_type =
      checked_cast<const arrow::DictionaryType&>(*column->type()).value_type();
  // Anything else in a dictionary has no plain size to check, and nobody makes it.
  if (arrow::is_nested(value_type->id()) || value_type->id() == arrow::Type::DICTIONARY) {
    return Mismatch(*column->type(), *target, "cast it first");
  }
  if (arrow::is_binary_view_like(value_type->id())) {
    // Arrow unfolds no dictionary of views; Polars makes them of its categories.
    const bool is_text = value_type->id() == arrow::Type::STRING_VIEW;
    const auto& folded = checked_cast<const arrow::DictionaryArray&>(*column);
    ARROW_ASSIGN_OR_RAISE(
        const ArrayPtr values,
        CastColumn(folded.dictionary(), is_text ? arrow::utf8() : arrow::binary(), rules));
    ARROW_ASSIGN_OR_RAISE(const ArrayPtr plain,
                          arrow::DictionaryArray::FromArrays(folded.indices(), values));
    return CastDictionary(plain, target, rules);
  }
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr plain, arrow::compute::Cast(*column, value_type));
  return CastColumn(plain, target, rules);
}

}  // namespace

Result<ArrayPtr> CastColumn(const ArrayPtr& column, const TypePtr& target, const CastRules& rules) {
  if (column->type()->Equals(*target)) return column;
  ARROW_RETURN_NOT_OK(CheckUnfolded(*column));
  switch (column->type_id()) {
    case arrow::Type::EXTENSION:
      return CastColumn(checked_cast<const arrow::ExtensionArray&>(*column).storage(), target,
                        rules);
    case arrow::Type::DICTIONARY:
      return CastDictionary(column, target, rules);
    case arrow::Type::NA:  // a column of nothing but None, as pandas writes it
      ARROW_RETURN_NOT_OK(CheckPlainBytes(*target, column->length()));
      return arrow::MakeArrayOfNull(target, column->length());
    default:
      break;
  }
  const bool to_list =
      target->id() == arrow::Type::LIST || target->id() == arrow::Type::FIXED_SIZE_LIST;
  if (!to_list) return CastLeaf(column, target, rules);
  if (!IsListLike(*column->type())) return Mismatch(*column->type(), *target, "cast it first");
  return CastList(column, target, rules);
}

}  // namespace fletching::ingest
