#include "ingest/unfold.h"

#include <algorithm>

#include "arrow/array.h"
#include "arrow/type.h"
#include "arrow/type_traits.h"
#include "arrow/util/checked_cast.h"

#include "ingest/budget.h"

namespace fletching::ingest {
namespace {

using arrow::internal::checked_cast;

// Bytes of one value, 0 for variable width. Booleans count a byte.
int64_t PlainWidth(const arrow::DataType& type) {
  if (type.id() == arrow::Type::FIXED_SIZE_LIST) {
    const auto& list = checked_cast<const arrow::FixedSizeListType&>(type);
    return list.list_size() * PlainWidth(*list.value_type());
  }
  return arrow::is_fixed_width(type.id()) ? std::max(1, type.byte_width()) : 0;
}

// Bytes of row `row` of an array whose offsets or views may still be lies: never follows them.
class ValueSizes {
 public:
  explicit ValueSizes(const arrow::Array& values)
      : values_(values), width_(PlainWidth(*values.type())) {}

  int64_t operator[](int64_t row) const {
    switch (values_.type_id()) {
      case arrow::Type::STRING:
      case arrow::Type::BINARY:
        return checked_cast<const arrow::BinaryArray&>(values_).value_length(row);
      case arrow::Type::LARGE_STRING:
      case arrow::Type::LARGE_BINARY:
        return checked_cast<const arrow::LargeBinaryArray&>(values_).value_length(row);
      case arrow::Type::STRING_VIEW:
      case arrow::Type::BINARY_VIEW:
        return checked_cast<const arrow::BinaryViewArray&>(values_).raw_values()[row].size();
      default:
        return width_;
    }
  }

 private:
  const arrow::Array& values_;
  const int64_t width_;
};

// Adds up until the bound is passed; sizes of broken offsets may be anything, so negative ones are
// left to the validation that follows.
template <typename SizeOf>
Status CheckSum(int64_t row_count, const SizeOf& size_of) {
  int64_t sum = 0;
  for (int64_t row = 0; row < row_count; ++row) {
    const int64_t size = size_of(row);
    if (size <= 0) continue;
    if (size > kUnfoldedBytesMax - sum) {
      return TooLarge("a batch of " + std::to_string(row_count) + " rows unfolds to more than " +
                      ByteText(kUnfoldedBytesMax) + " in one column; send it in smaller batches");
    }
    sum += size;
  }
  return Status::OK();
}

template <typename ListViewArray>
Status CheckListView(const ListViewArray& lists) {
  const ValueSizes sizes(*lists.values());
  const int64_t value_count = lists.values()->length();
  return CheckSum(lists.length(), [&](int64_t row) -> int64_t {
    if (lists.IsNull(row)) return 0;
    const int64_t first = lists.value_offset(row);
    const int64_t count = lists.value_length(row);
    if (first < 0 || count <= 0 || first > value_count || count > value_count - first) return 0;
    int64_t sum = 0;  // an empty value still takes its offset
    for (int64_t at = first; at < first + count && sum <= kUnfoldedBytesMax; ++at) {
      sum += std::clamp<int64_t>(sizes[at], 4, kUnfoldedBytesMax);
    }
    return sum;
  });
}

}  // namespace

Status CheckPlainBytes(const arrow::DataType& type, int64_t row_count) {
  const int64_t width = PlainWidth(type);
  if (width == 0 || row_count <= kUnfoldedBytesMax / width) return Status::OK();
  return TooLarge(std::to_string(row_count) + " values of " + type.ToString() + " take more than " +
                  ByteText(kUnfoldedBytesMax) + "; send smaller batches");
}

Status CheckUnfolded(const arrow::Array& column) {
  switch (column.type_id()) {
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW: {
      const ValueSizes sizes(column);
      return CheckSum(column.length(),
                      [&](int64_t row) { return column.IsNull(row) ? 0 : sizes[row]; });
    }
    case arrow::Type::DICTIONARY: {
      const auto& dictionary = checked_cast<const arrow::DictionaryArray&>(column);
      const ValueSizes sizes(*dictionary.dictionary());
      return CheckSum(column.length(), [&](int64_t row) {
        return column.IsNull(row) ? 0 : sizes[dictionary.GetValueIndex(row)];
      });
    }
    case arrow::Type::LIST_VIEW:
      return CheckListView(checked_cast<const arrow::ListViewArray&>(column));
    case arrow::Type::LARGE_LIST_VIEW:
      return CheckListView(checked_cast<const arrow::LargeListViewArray&>(column));
    default:
      return Status::OK();
  }
}

}  // namespace fletching::ingest
