// Arrow's full validation, with two changes. It checks sums of views and dictionary values first,
// because Arrow reads every one of them however often they repeat. And where Arrow checks all the
// children of a slice, this checks what the slice can reach, or else a long batch that is cut into
// slices would be checked once more for every slice.
#include "arrow/array.h"
#include "arrow/extension_type.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/bitmap_ops.h"
#include "arrow/util/checked_cast.h"
#include "arrow/util/int_util.h"
#include "arrow/util/utf8.h"

#include "ingest/cast.h"
#include "ingest/unfold.h"

namespace fletching::ingest {
namespace {

using arrow::internal::checked_cast;

// Types nest at most this deep below a column (list<dictionary<...>> is two).
constexpr int kDepthMax = 8;

Status CheckArray(const arrow::Array& array, int depth);

Status CheckNullCount(const arrow::Array& array) {
  const arrow::ArrayData& data = *array.data();
  const int64_t claimed = data.null_count.load();
  if (claimed == arrow::kUnknownNullCount || data.buffers[0] == nullptr) return Status::OK();
  const int64_t actual =
      array.length() -
      arrow::internal::CountSetBits(data.buffers[0]->data(), array.offset(), array.length());
  if (claimed == actual) return Status::OK();
  return InvalidArgument("null count is " + std::to_string(claimed) + ", but " +
                         std::to_string(actual) + " values are null");
}

// Values [first, first + count) of a list's child, which is all that the list can reach.
Status CheckReached(const std::shared_ptr<arrow::Array>& child, int64_t first, int64_t count,
                    int depth) {
  if (first < 0 || count < 0 || first > child->length() || count > child->length() - first) {
    return InvalidArgument("list offsets reach past the list's values");
  }
  return CheckArray(*child->Slice(first, count), depth + 1);
}

template <typename ListArray>
Status CheckList(const ListArray& list, int depth) {
  ARROW_RETURN_NOT_OK(CheckNullCount(list));
  if (list.length() == 0) return Status::OK();
  const auto* offsets = list.raw_value_offsets();
  for (int64_t row = 0; row < list.length(); ++row) {
    if (offsets[row] > offsets[row + 1]) {
      return InvalidArgument("list offsets decrease at row " + std::to_string(row));
    }
  }
  return CheckReached(list.values(), offsets[0], offsets[list.length()] - offsets[0], depth);
}

Status CheckFixedSizeList(const arrow::FixedSizeListArray& list, int depth) {
  ARROW_RETURN_NOT_OK(CheckNullCount(list));
  const int64_t width = list.value_length();
  return CheckReached(list.values(), list.offset() * width, list.length() * width, depth);
}

// Only the values that indices name: a slice of a batch carries the whole batch's dictionary.
template <typename BinaryArray>
Status CheckNamedValues(const arrow::DictionaryArray& column, const BinaryArray& values) {
  const bool text = arrow::is_string(values.type_id());
  const int64_t data_bytes = values.value_data() == nullptr ? 0 : values.value_data()->size();
  for (int64_t row = 0; row < column.length(); ++row) {
    if (column.IsNull(row)) continue;
    const int64_t at = column.GetValueIndex(row);
    const int64_t first = values.value_offset(at);
    const int64_t end = values.value_offset(at + 1);
    if (first < 0 || end < first || end > data_bytes) {
      return InvalidArgument("offsets of dictionary value " + std::to_string(at) +
                             " reach past its bytes");
    }
    if (text && !arrow::util::ValidateUTF8(values.value_data()->data() + first, end - first)) {
      return InvalidArgument("dictionary value " + std::to_string(at) + " is not valid UTF-8");
    }
  }
  return Status::OK();
}

Status CheckDictionary(const arrow::DictionaryArray& column, int depth) {
  const std::shared_ptr<arrow::Array>& values = column.dictionary();
  ARROW_RETURN_NOT_OK(CheckNullCount(column));
  ARROW_RETURN_NOT_OK(CheckNullCount(*values));
  ARROW_RETURN_NOT_OK(arrow::internal::CheckIndexBounds(*column.indices()->data(),
                                                        static_cast<uint64_t>(values->length())));
  ARROW_RETURN_NOT_OK(CheckUnfolded(column));
  const bool mostly_unused = values->length() > column.length();
  if (mostly_unused && arrow::is_base_binary_like(values->type_id()) && values->null_count() == 0) {
    if (arrow::is_large_binary_like(values->type_id())) {
      return CheckNamedValues(column, checked_cast<const arrow::LargeBinaryArray&>(*values));
    }
    return CheckNamedValues(column, checked_cast<const arrow::BinaryArray&>(*values));
  }
  return CheckArray(*values, depth + 1);
}

// Types of which any bytes are values, so that their buffers' lengths are all there is to check.
bool AnyBytesAreValues(arrow::Type::type type) {
  return arrow::is_integer(type) || arrow::is_floating(type) || type == arrow::Type::BOOL ||
         type == arrow::Type::TIMESTAMP || type == arrow::Type::DATE32;
}

// `array` has passed Array::Validate, so its buffers are as long as its length says.
Status CheckArray(const arrow::Array& array, int depth) {
  if (depth > kDepthMax) return InvalidArgument("types nest too deep");
  if (AnyBytesAreValues(array.type_id())) return CheckNullCount(array);
  switch (array.type_id()) {
    case arrow::Type::LIST:
      return CheckList(checked_cast<const arrow::ListArray&>(array), depth);
    case arrow::Type::LARGE_LIST:
      return CheckList(checked_cast<const arrow::LargeListArray&>(array), depth);
    case arrow::Type::FIXED_SIZE_LIST:
      return CheckFixedSizeList(checked_cast<const arrow::FixedSizeListArray&>(array), depth);
    case arrow::Type::DICTIONARY:
      return CheckDictionary(checked_cast<const arrow::DictionaryArray&>(array), depth);
    case arrow::Type::EXTENSION:
      return CheckArray(*checked_cast<const arrow::ExtensionArray&>(array).storage(), depth);
    default:
      ARROW_RETURN_NOT_OK(CheckUnfolded(array));
      return array.ValidateFull();
  }
}

}  // namespace

Status ValidateColumn(const arrow::Array& column) {
  arrow::util::InitializeUTF8();
  Status status = column.Validate();
  if (status.ok()) status = CheckArray(column, 0);
  if (status.ok() || status.detail() != nullptr) return status;
  return InvalidArgument(status.message());
}

Status ValidateBatch(const arrow::RecordBatch& batch) {
  if (batch.schema()->num_fields() != batch.num_columns()) {
    return InvalidArgument("the batch has " + std::to_string(batch.num_columns()) +
                           " columns, its schema " + std::to_string(batch.schema()->num_fields()));
  }
  for (int at = 0; at < batch.num_columns(); ++at) {
    const std::string label = "column '" + batch.schema()->field(at)->name() + "': ";
    const std::shared_ptr<arrow::Array> column = batch.column(at);
    if (column->length() != batch.num_rows()) {
      return InvalidArgument(label + std::to_string(column->length()) + " values in a batch of " +
                             std::to_string(batch.num_rows()) + " rows");
    }
    if (!column->type()->Equals(batch.schema()->field(at)->type())) {
      return InvalidArgument(label + "is " + column->type()->ToString() +
                             " where the schema says " +
                             batch.schema()->field(at)->type()->ToString());
    }
    const Status status = ValidateColumn(*column);
    if (!status.ok()) return MakeError(CodeOf(status), label + status.message());
  }
  return Status::OK();
}

}  // namespace fletching::ingest
