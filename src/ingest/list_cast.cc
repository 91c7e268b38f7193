#include "ingest/list_cast.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array.h"
#include "arrow/buffer.h"
#include "arrow/builder.h"
#include "arrow/compute/api_vector.h"
#include "arrow/type.h"
#include "arrow/util/bitmap_ops.h"
#include "arrow/util/checked_cast.h"

#include "ingest/unfold.h"

namespace fletching::ingest {
namespace {

using arrow::internal::checked_cast;
using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

// What every kind of list comes down to: no offset of its own, no values it does not use.
struct PlainLists {
  int64_t row_count = 0;
  int64_t null_count = 0;
  std::shared_ptr<arrow::Buffer> validity;  // null when nothing is null
  std::vector<int32_t> offsets;             // row_count + 1, the first is 0
  ArrayPtr values;
};

Result<std::shared_ptr<arrow::Buffer>> ValidityOf(const arrow::Array& array) {
  if (array.null_count() == 0) return nullptr;
  return arrow::internal::CopyBitmap(arrow::default_memory_pool(), array.null_bitmap_data(),
                                     array.offset(), array.length());
}

// value_offset(row) for row in [0, row_count] are the ends and starts of lists in `values`.
template <typename ValueOffset>
Result<PlainLists> MakePlain(const arrow::Array& lists, const ArrayPtr& values,
                             const ValueOffset& value_offset) {
  PlainLists plain;
  plain.row_count = lists.length();
  plain.null_count = lists.null_count();
  ARROW_ASSIGN_OR_RAISE(plain.validity, ValidityOf(lists));
  const int64_t first = value_offset(0);
  const int64_t value_count = value_offset(lists.length()) - first;
  if (value_count > std::numeric_limits<int32_t>::max()) {
    return TooLarge("lists of one batch hold " + std::to_string(value_count) +
                    " values; send smaller batches");
  }
  plain.values = values->Slice(first, value_count);
  plain.offsets.reserve(static_cast<size_t>(lists.length()) + 1);
  for (int64_t row = 0; row <= lists.length(); ++row) {
    plain.offsets.push_back(static_cast<int32_t>(value_offset(row) - first));
  }
  return plain;
}

// An empty list array may come without any offsets at all.
template <typename ListArray>
Result<PlainLists> MakePlainFromOffsets(const ListArray& lists) {
  return MakePlain(lists, lists.values(), [&](int64_t row) -> int64_t {
    return lists.length() == 0 ? 0 : lists.raw_value_offsets()[row];
  });
}

// Views lie in any order and may overlap; CheckUnfolded has bounded their sum. (Arrow's own cast
// from views to lists forgets the last offset, in 26.0.)
template <typename ListViewArray>
Result<PlainLists> MakePlainFromViews(const ListViewArray& lists) {
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr values, lists.Flatten());
  int64_t end = 0;
  std::vector<int64_t> ends = {0};
  for (int64_t row = 0; row < lists.length(); ++row) {
    ends.push_back(end += lists.IsNull(row) ? 0 : lists.value_length(row));
  }
  return MakePlain(lists, values, [&](int64_t row) { return ends[static_cast<size_t>(row)]; });
}

Result<PlainLists> Plain(const ArrayPtr& column) {
  switch (column->type_id()) {
    case arrow::Type::LIST:
      return MakePlainFromOffsets(checked_cast<const arrow::ListArray&>(*column));
    case arrow::Type::LARGE_LIST:
      return MakePlainFromOffsets(checked_cast<const arrow::LargeListArray&>(*column));
    case arrow::Type::LIST_VIEW:
      return MakePlainFromViews(checked_cast<const arrow::ListViewArray&>(*column));
    case arrow::Type::LARGE_LIST_VIEW:
      return MakePlainFromViews(checked_cast<const arrow::LargeListViewArray&>(*column));
    default: {
      const auto& lists = checked_cast<const arrow::FixedSizeListArray&>(*column);
      const int64_t width = lists.value_length();
      return MakePlain(lists, lists.values(),
                       [&](int64_t row) -> int64_t { return (lists.offset() + row) * width; });
    }
  }
}

// Fixed-size lists keep their width of values even where they are null.
Result<ArrayPtr> SpreadValues(const PlainLists& plain, const ArrayPtr& values, int64_t width) {
  arrow::Int32Builder picks;
  ARROW_RETURN_NOT_OK(picks.Reserve(plain.row_count * width));
  for (int64_t row = 0; row < plain.row_count; ++row) {
    const bool valid =
        plain.validity == nullptr || arrow::bit_util::GetBit(plain.validity->data(), row);
    const int32_t first = plain.offsets[static_cast<size_t>(row)];
    if (!valid) ARROW_RETURN_NOT_OK(picks.AppendNulls(width));
    for (int32_t at = 0; valid && at < width; ++at) picks.UnsafeAppend(first + at);
  }
  ARROW_ASSIGN_OR_RAISE(const ArrayPtr indices, picks.Finish());
  return arrow::compute::Take(*values, *indices);
}

Result<ArrayPtr> ToFixedSize(const PlainLists& plain, const TypePtr& target,
                             const CastRules& rules) {
  const auto& type = checked_cast<const arrow::FixedSizeListType&>(*target);
  const int64_t width = type.list_size();
  bool nulls_take_none = false;
  for (int64_t row = 0; row < plain.row_count; ++row) {
    const auto at = static_cast<size_t>(row);
    const int64_t length = plain.offsets[at + 1] - plain.offsets[at];
    if (length == width) continue;
    if (plain.validity == nullptr || arrow::bit_util::GetBit(plain.validity->data(), row)) {
      return SchemaMismatch("row " + std::to_string(row) + ": a list of " + std::to_string(length) +
                            " values where the schema says " + std::to_string(width));
    }
    nulls_take_none = true;
  }
  ARROW_ASSIGN_OR_RAISE(ArrayPtr values, CastColumn(plain.values, type.value_type(), rules));
  if (nulls_take_none) {
    ARROW_RETURN_NOT_OK(CheckPlainBytes(*target, plain.row_count));
    ARROW_ASSIGN_OR_RAISE(values, SpreadValues(plain, values, width));
  }
  return std::make_shared<arrow::FixedSizeListArray>(target, plain.row_count, values,
                                                     plain.validity, plain.null_count);
}

}  // namespace

bool IsListLike(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::LIST:
    case arrow::Type::LARGE_LIST:
    case arrow::Type::FIXED_SIZE_LIST:
    case arrow::Type::LIST_VIEW:
    case arrow::Type::LARGE_LIST_VIEW:
      return true;
    default:
      return false;
  }
}

Result<ArrayPtr> CastList(const ArrayPtr& column, const TypePtr& target, const CastRules& rules) {
  ARROW_ASSIGN_OR_RAISE(PlainLists plain, Plain(column));
  if (target->id() == arrow::Type::FIXED_SIZE_LIST) return ToFixedSize(plain, target, rules);
  const auto& type = checked_cast<const arrow::ListType&>(*target);
  ARROW_ASSIGN_OR_RAISE(ArrayPtr values, CastColumn(plain.values, type.value_type(), rules));
  std::shared_ptr<arrow::Buffer> offsets = arrow::Buffer::FromVector(std::move(plain.offsets));
  return std::make_shared<arrow::ListArray>(target, plain.row_count, offsets, values,
                                            plain.validity, plain.null_count);
}

}  // namespace fletching::ingest
