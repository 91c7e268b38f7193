#include "segment/physical.h"

#include <limits>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_binary.h>
#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>
#include <arrow/util/bit_util.h>

namespace fletching::segment {
namespace {

constexpr uint32_t kHasNullItems = uint32_t{1} << 31;

uint32_t ItemWidth(const arrow::DataType& type) {
  if (type.id() == arrow::Type::BOOL) return 1;
  return static_cast<uint32_t>(
      arrow::internal::checked_cast<const arrow::FixedWidthType&>(type).bit_width() / 8);
}

std::shared_ptr<arrow::Buffer> AllocateOrDie(int64_t bytes) {
  return arrow::AllocateBuffer(bytes).ValueOrDie();
}

// One byte per bool. Rows offset .. offset+count of `bits`.
void SpreadBits(const uint8_t* bits, int64_t offset, int64_t count, uint8_t* target) {
  for (int64_t i = 0; i < count; ++i) target[i] = GetBit(bits, offset + i) ? 1 : 0;
}

// Values of a primitive child array as bytes, bools spread.
const uint8_t* ItemValues(const arrow::Array& items, std::vector<std::shared_ptr<void>>* owners) {
  if (items.type_id() == arrow::Type::BOOL) {
    auto spread = AllocateOrDie(items.length());
    SpreadBits(items.data()->buffers[1]->data(), items.offset(), items.length(),
               spread->mutable_data());
    owners->push_back(spread);
    return spread->data();
  }
  const auto& buffer = items.data()->buffers[1];
  if (buffer == nullptr) return nullptr;
  return buffer->data() + items.offset() * ItemWidth(*items.type());
}

void PackFixedList(const arrow::FixedSizeListArray& lists, PhysicalColumn* out) {
  const auto n = static_cast<int64_t>(lists.list_type()->list_size());
  const std::shared_ptr<arrow::Array> items = lists.values();
  const uint32_t item_width = ItemWidth(*items->type());
  const uint8_t* item_values = ItemValues(*items, &out->owners);
  const int64_t valid_bytes = (n + 7) / 8;
  out->width = static_cast<uint32_t>(n * item_width + valid_bytes);
  auto packed = AllocateOrDie(lists.length() * out->width);
  for (int64_t row = 0; row < lists.length(); ++row) {
    uint8_t* target = packed->mutable_data() + row * out->width;
    const int64_t first = lists.value_offset(row);
    if (n > 0) std::memcpy(target, item_values + first * item_width, n * item_width);
    uint8_t* bits = target + n * item_width;
    std::memset(bits, 0, valid_bytes);
    for (int64_t i = 0; i < n; ++i) {
      if (items->IsValid(first + i)) SetBit(bits, i);
    }
  }
  out->values = packed->data();
  out->owners.push_back(packed);
}

void AppendU32(std::vector<uint8_t>* bytes, uint32_t value) {
  const size_t at = bytes->size();
  bytes->resize(at + 4);
  StoreAs(bytes->data() + at, value);
}

// One list, items [first, end) of `items`.
void PackList(const arrow::Array& items, const uint8_t* item_values, int64_t first, int64_t end,
              std::vector<uint8_t>* bytes) {
  const auto count = static_cast<uint32_t>(end - first);
  bool has_nulls = false;
  for (int64_t i = first; i < end && !has_nulls; ++i) has_nulls = items.IsNull(i);
  AppendU32(bytes, count | (has_nulls ? kHasNullItems : 0));
  if (has_nulls) {
    const size_t at = bytes->size();
    bytes->resize(at + (count + 7) / 8, 0);
    for (int64_t i = first; i < end; ++i) {
      if (items.IsValid(i)) SetBit(bytes->data() + at, i - first);
    }
  }
  if (arrow::is_binary_like(items.type_id())) {
    const auto& strings = arrow::internal::checked_cast<const arrow::BinaryArray&>(items);
    uint32_t total = 0;
    for (int64_t i = first; i < end; ++i) {
      total += static_cast<uint32_t>(strings.value_length(i));
      AppendU32(bytes, total);
    }
    if (count > 0) {
      const uint8_t* source = strings.value_data()->data();
      bytes->insert(bytes->end(), source + strings.value_offset(first),
                    source + strings.value_offset(end));
    }
  } else if (count > 0) {
    const uint32_t width = ItemWidth(*items.type());
    bytes->insert(bytes->end(), item_values + first * width, item_values + end * width);
  }
}

Status PackLists(const arrow::ListArray& lists, PhysicalColumn* out) {
  const std::shared_ptr<arrow::Array> items = lists.values();
  const bool is_text = arrow::is_binary_like(items->type_id());
  const uint8_t* item_values = is_text ? nullptr : ItemValues(*items, &out->owners);
  auto bytes = std::make_shared<std::vector<uint8_t>>();
  auto offsets = std::make_shared<std::vector<int32_t>>();
  offsets->reserve(static_cast<size_t>(lists.length()) + 1);
  offsets->push_back(0);
  for (int64_t row = 0; row < lists.length(); ++row) {
    if (lists.IsValid(row)) {
      PackList(*items, item_values, lists.value_offset(row), lists.value_offset(row + 1),
               bytes.get());
    }
    if (bytes->size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
      return TooLarge("lists of one batch exceed 2 GiB; write smaller batches");
    }
    offsets->push_back(static_cast<int32_t>(bytes->size()));
  }
  bytes->push_back(0);  // so that values is never null
  out->values = bytes->data();
  out->offsets = offsets->data();
  out->owners.push_back(bytes);
  out->owners.push_back(offsets);
  return Status::OK();
}

// Where items of one packed list lie, after its bounds were checked.
struct ListView {
  uint32_t count = 0;
  const uint8_t* validity = nullptr;
  const uint8_t* items = nullptr;  // values, or ends followed by text
};

Result<ListView> ReadList(ByteSpan bytes, uint32_t item_width, bool is_text) {
  const auto damaged = [] { return Corruption("list value", 0, "item count does not fit"); };
  if (bytes.size() < 4) return damaged();
  const auto head = LoadAs<uint32_t>(bytes.data());
  ListView view{head & ~kHasNullItems, nullptr, bytes.data() + 4};
  size_t left = bytes.size() - 4;
  if (head & kHasNullItems) {
    const size_t validity_bytes = (static_cast<size_t>(view.count) + 7) / 8;
    if (left < validity_bytes) return damaged();
    view.validity = view.items;
    view.items += validity_bytes;
    left -= validity_bytes;
  }
  const size_t unit = is_text ? 4 : item_width;
  if (left / unit < view.count) return damaged();
  left -= unit * view.count;
  uint32_t previous = 0;
  for (uint32_t i = 0; is_text && i < view.count; ++i) {
    const auto end = LoadAs<uint32_t>(view.items + 4 * size_t{i});
    if (end < previous || end > left) return damaged();
    previous = end;
  }
  return view;
}

template <typename Builder>
Status AppendTextItems(const ListView& view, Builder* builder) {
  const uint8_t* text = view.items + 4 * size_t{view.count};
  uint32_t first = 0;
  for (uint32_t i = 0; i < view.count; ++i) {
    const auto end = LoadAs<uint32_t>(view.items + 4 * size_t{i});
    // ReadList saw to it, but a mapping may turn into zeros at any time (io/file.h).
    if (end < first) return Corruption("list value", 0, "ends of its items go backwards");
    if (view.validity != nullptr && !GetBit(view.validity, i)) {
      ARROW_RETURN_NOT_OK(builder->AppendNull());
    } else {
      ARROW_RETURN_NOT_OK(builder->Append(text + first, static_cast<int32_t>(end - first)));
    }
    first = end;
  }
  return Status::OK();
}

// Number items gathered as bytes plus a validity bitmap, then turned into one array.
struct NumberItems {
  std::vector<uint8_t> values;
  std::vector<uint8_t> validity;
  int64_t count = 0;
  int64_t null_count = 0;

  void Append(const ListView& view, uint32_t width) {
    values.insert(values.end(), view.items, view.items + size_t{view.count} * width);
    validity.resize(static_cast<size_t>(count + view.count + 7) / 8, 0);
    for (uint32_t i = 0; i < view.count; ++i) {
      const bool valid = view.validity == nullptr || GetBit(view.validity, i);
      if (valid) SetBit(validity.data(), count + i);
      null_count += valid ? 0 : 1;
    }
    count += view.count;
  }
};

// Not by an initializer list, which would count a reference more for each buffer.
template <typename... Buffers>
void Fill(std::shared_ptr<arrow::DataType> type, int64_t row_count, int64_t null_count,
          arrow::ArrayData* out, Buffers... buffers) {
  out->type = std::move(type);
  out->length = row_count;
  out->null_count = null_count;
  out->buffers.reserve(sizeof...(buffers));
  (out->buffers.push_back(std::move(buffers)), ...);
}

std::shared_ptr<arrow::ArrayData> MakeNumberItems(const std::shared_ptr<arrow::DataType>& type,
                                                  NumberItems items) {
  auto values = arrow::Buffer::FromVector(std::move(items.values));
  auto validity =
      items.null_count == 0 ? nullptr : arrow::Buffer::FromVector(std::move(items.validity));
  auto data = std::make_shared<arrow::ArrayData>();
  FillFixedData(type, items.count, std::move(values), std::move(validity), items.null_count,
                data.get());
  return data;
}

bool IsValidRow(const std::shared_ptr<arrow::Buffer>& validity, int64_t row) {
  return validity == nullptr || GetBit(validity->data(), row);
}

Status FillListData(std::shared_ptr<arrow::DataType> type, std::span<const ByteSpan> values,
                    std::shared_ptr<arrow::Buffer> validity, int64_t null_count,
                    arrow::ArrayData* out) {
  const auto& item_type = arrow::internal::checked_cast<const arrow::ListType&>(*type).value_type();
  const bool is_text = arrow::is_binary_like(item_type->id());
  const uint32_t width = is_text ? 0 : ItemWidth(*item_type);
  auto offsets = AllocateOrDie(static_cast<int64_t>(values.size() + 1) * 4);
  auto* ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  NumberItems numbers;
  arrow::BinaryBuilder text;
  int64_t total = 0;
  ends[0] = 0;
  for (size_t row = 0; row < values.size(); ++row) {
    if (IsValidRow(validity, static_cast<int64_t>(row))) {
      ARROW_ASSIGN_OR_RAISE(const ListView view, ReadList(values[row], width, is_text));
      total += view.count;
      if (total > std::numeric_limits<int32_t>::max()) {
        return TooLarge("more than 2^31 list items in one answer; ask for fewer keys");
      }
      if (is_text) {
        ARROW_RETURN_NOT_OK(AppendTextItems(view, &text));
      } else {
        numbers.Append(view, width);
      }
    }
    ends[row + 1] = static_cast<int32_t>(total);
  }
  std::shared_ptr<arrow::ArrayData> items;
  if (is_text) {
    ARROW_ASSIGN_OR_RAISE(const auto binary, text.Finish());
    items = binary->data()->Copy();
    items->type = item_type;  // the builder makes binary; the bytes of utf8 are the same
  } else {
    items = MakeNumberItems(item_type, std::move(numbers));
  }
  Fill(std::move(type), static_cast<int64_t>(values.size()), null_count, out, std::move(validity),
       std::move(offsets));
  out->child_data.push_back(std::move(items));
  return Status::OK();
}

// Texts side by side: that of row i at ends[i] .. ends[i + 1).
// With room in front, short ones are copied in pieces of one size that end where they end, from the
// last row to the first, so that what is copied too much is overwritten by the text it belongs to:
// a branch on lengths that nobody can guess takes longer than 48 bytes.
std::shared_ptr<arrow::Buffer> CopyTexts(std::span<const ByteSpan> values, const int32_t* ends,
                                         bool has_room_in_front) {
  constexpr int64_t kSlackBytes = 64;  // keeps the alignment
  static_assert(kSlackBytes >= kTextPieceBytes);
  const int64_t total = ends[values.size()];
  std::shared_ptr<arrow::Buffer> bytes = AllocateOrDie(kSlackBytes + total);
  uint8_t* const out = bytes->mutable_data() + kSlackBytes;
  for (size_t row = values.size(); row-- > 0;) {
    if (ends[row + 1] == ends[row]) continue;
    const ByteSpan text = values[row];
    if (has_room_in_front && text.size() <= kTextPieceBytes) {
      std::memcpy(out + ends[row + 1] - kTextPieceBytes,
                  text.data() + text.size() - kTextPieceBytes, kTextPieceBytes);
    } else {
      std::memcpy(out + ends[row], text.data(), text.size());
    }
  }
  return arrow::SliceBuffer(std::move(bytes), kSlackBytes, total);
}

void UnpackFixedList(std::shared_ptr<arrow::DataType> type, int64_t row_count,
                     const arrow::Buffer& values, std::shared_ptr<arrow::Buffer> validity,
                     int64_t null_count, arrow::ArrayData* out) {
  const auto& list_type = arrow::internal::checked_cast<const arrow::FixedSizeListType&>(*type);
  const int64_t n = list_type.list_size();
  const uint32_t item_width = ItemWidth(*list_type.value_type());
  const int64_t width = n * item_width + (n + 7) / 8;
  auto items = AllocateOrDie(row_count * n * item_width);
  auto item_validity = AllocateOrDie((row_count * n + 7) / 8);
  std::memset(item_validity->mutable_data(), 0, static_cast<size_t>(item_validity->size()));
  int64_t item_nulls = 0;
  for (int64_t row = 0; row < row_count; ++row) {
    const uint8_t* source = values.data() + row * width;
    const bool row_valid = IsValidRow(validity, row);
    uint8_t* target = items->mutable_data() + row * n * item_width;
    if (n > 0) std::memcpy(target, source, static_cast<size_t>(n * item_width));
    for (int64_t i = 0; i < n; ++i) {
      if (row_valid && GetBit(source + n * item_width, i)) {
        SetBit(item_validity->mutable_data(), row * n + i);
      } else {
        ++item_nulls;
      }
    }
  }
  if (item_nulls == 0) item_validity = nullptr;
  auto child = std::make_shared<arrow::ArrayData>();
  FillFixedData(list_type.value_type(), row_count * n, std::move(items), std::move(item_validity),
                item_nulls, child.get());
  Fill(std::move(type), row_count, null_count, out, std::move(validity));
  out->child_data.push_back(std::move(child));
}

}  // namespace

Physical PhysicalOf(const arrow::DataType& type) {
  switch (type.id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
    case arrow::Type::LIST:
      return {true, 0};
    case arrow::Type::FIXED_SIZE_LIST: {
      const auto& list = arrow::internal::checked_cast<const arrow::FixedSizeListType&>(type);
      const auto n = static_cast<uint32_t>(list.list_size());
      return {false, n * ItemWidth(*list.value_type()) + (n + 7) / 8};
    }
    default:
      return {false, ItemWidth(type)};
  }
}

Result<PhysicalColumn> MakePhysical(const std::shared_ptr<arrow::Array>& column) {
  PhysicalColumn out;
  out.owners.push_back(column);
  if (column->length() > 0 && column->null_count() == column->length()) return out;
  if (column->null_count() > 0) {
    out.validity = column->null_bitmap_data();
    out.validity_offset = column->offset();
  }
  static const uint8_t kNothing[8] = {};
  switch (column->type_id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY: {
      const auto& text = arrow::internal::checked_cast<const arrow::BinaryArray&>(*column);
      static const int32_t kZeroOffset[1] = {0};
      out.offsets = column->length() > 0 ? text.raw_value_offsets() : kZeroOffset;
      out.values = text.value_data() != nullptr ? text.value_data()->data() : kNothing;
      if (out.values == nullptr) out.values = kNothing;
      return out;
    }
    case arrow::Type::LIST:
      ARROW_RETURN_NOT_OK(
          PackLists(arrow::internal::checked_cast<const arrow::ListArray&>(*column), &out));
      return out;
    case arrow::Type::FIXED_SIZE_LIST:
      PackFixedList(arrow::internal::checked_cast<const arrow::FixedSizeListArray&>(*column), &out);
      if (out.values == nullptr) out.values = kNothing;
      return out;
    default:
      out.width = PhysicalOf(*column->type()).width;
      out.values = ItemValues(*column, &out.owners);
      if (out.values == nullptr) out.values = kNothing;
      return out;
  }
}

void FillFixedData(std::shared_ptr<arrow::DataType> type, int64_t row_count,
                   std::shared_ptr<arrow::Buffer> values, std::shared_ptr<arrow::Buffer> validity,
                   int64_t null_count, arrow::ArrayData* out) {
  if (type->id() == arrow::Type::FIXED_SIZE_LIST) {
    return UnpackFixedList(std::move(type), row_count, *values, std::move(validity), null_count,
                           out);
  }
  if (type->id() == arrow::Type::BOOL) {
    auto bits = AllocateOrDie((row_count + 7) / 8);
    std::memset(bits->mutable_data(), 0, static_cast<size_t>(bits->size()));
    for (int64_t i = 0; i < row_count; ++i) {
      if (values->data()[i] & 1) SetBit(bits->mutable_data(), i);
    }
    values = std::move(bits);
  }
  Fill(std::move(type), row_count, null_count, out, std::move(validity), std::move(values));
}

Status FillVariableData(std::shared_ptr<arrow::DataType> type, std::span<const ByteSpan> values,
                        std::shared_ptr<arrow::Buffer> validity, int64_t null_count,
                        bool has_room_in_front, arrow::ArrayData* out) {
  if (type->id() == arrow::Type::LIST) {
    return FillListData(std::move(type), values, std::move(validity), null_count, out);
  }
  const auto row_count = static_cast<int64_t>(values.size());
  auto offsets = AllocateOrDie((row_count + 1) * 4);
  auto* ends = reinterpret_cast<int32_t*>(offsets->mutable_data());
  int64_t total = 0;
  ends[0] = 0;
  for (int64_t row = 0; row < row_count; ++row) {
    if (IsValidRow(validity, row)) total += static_cast<int64_t>(values[row].size());
    if (total > std::numeric_limits<int32_t>::max()) {
      return TooLarge("one column of the answer exceeds 2 GiB; ask for fewer keys");
    }
    ends[row + 1] = static_cast<int32_t>(total);
  }
  auto bytes = CopyTexts(values, ends, has_room_in_front);
  Fill(std::move(type), row_count, null_count, out, std::move(validity), std::move(offsets),
       std::move(bytes));
  return Status::OK();
}

}  // namespace fletching::segment
