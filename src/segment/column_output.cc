#include "segment/column_output.h"

#include <cstring>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/util/bit_util.h>

#include "base/check.h"
#include "segment/widen.h"

namespace fletching::segment {
namespace {

// Where the value of a packed variable column lies. Its row passed the locate stage, which checked
// that the last end lies in the row block; an end that goes backwards (only possible when a
// checksum was made to fit) reads as empty.
struct TextPlace {
  TextPlace(const RowLayout& layout, uint32_t var_index)
      : text(layout.fixed_bytes),
        end_at(layout.ends_offset() + 4 * var_index),
        last_at(layout.fixed_bytes - 4),
        is_first(var_index == 0) {}

  ByteSpan Of(const uint8_t* body) const {
    const uint32_t begin = is_first ? 0 : LoadAs<uint32_t>(body + end_at - 4);
    const auto end = LoadAs<uint32_t>(body + end_at);
    if (end < begin || end > LoadAs<uint32_t>(body + last_at)) [[unlikely]]
      return {};
    return {body + text + begin, end - begin};
  }

  const uint32_t text, end_at, last_at;  // bytes into the body
  const bool is_first;
};

}  // namespace

ColumnOutput::ColumnOutput(std::shared_ptr<arrow::DataType> type, int64_t row_count,
                           std::shared_ptr<arrow::Buffer> values, bool all_found)
    : type_(std::move(type)),
      physical_(PhysicalOf(*type_)),
      row_count_(row_count),
      values_(std::move(values)) {
  if (physical_.is_variable) {
    spans_.resize(static_cast<size_t>(row_count));
    return;
  }
  target_ = values_->mutable_data();
  if (!all_found) std::memset(target_, 0, static_cast<size_t>(row_count) * physical_.width);
}

uint8_t* ColumnOutput::EnsureValidity() {
  if (validity_ == nullptr) {
    validity_ = arrow::AllocateBuffer((row_count_ + 7) / 8).ValueOrDie();
    std::memset(validity_->mutable_data(), 0xff, static_cast<size_t>(validity_->size()));
  }
  return validity_->mutable_data();
}

void ColumnOutput::SetNull(int64_t row) {
  ClearBit(EnsureValidity(), row);
  if (target_ != nullptr) {
    std::memset(target_ + row * physical_.width, 0, physical_.width);
  }
}

void ColumnOutput::SetAllNull(const RowSelection& rows) {
  for (int64_t i = 0; i < rows.count; ++i) SetNull(rows.At(i));
}

void ColumnOutput::GatherText(const RowLayout& layout, const LayoutColumn& column,
                              const RowSelection& rows, int64_t begin, int64_t end) {
  const TextPlace place(layout, column.var_index);
  ByteSpan* const spans = spans_.data();
  if (rows.positions == nullptr) {
    for (int64_t i = begin; i < end; ++i) spans[i] = place.Of(rows.bodies[i]);
    return;
  }
  for (int64_t i = begin; i < end; ++i) spans[rows.positions[i]] = place.Of(rows.bodies[i]);
}

uint8_t* ColumnOutput::TargetFor(const LayoutColumn& column) const {
  if (column.is_variable) return nullptr;
  const bool is_same = column.type == type_ || column.type->Equals(*type_);
  return is_same ? target_ : nullptr;
}

void ColumnOutput::GatherNulls(const LayoutColumn& column, const RowSelection& rows) {
  const uint32_t byte = column.null_bit >> 3;
  const auto mask = static_cast<uint8_t>(1u << (column.null_bit & 7));
  for (int64_t i = 0; i < rows.count; ++i) {
    if (rows.bodies[i][byte] & mask) ClearBit(EnsureValidity(), rows.At(i));
  }
}

void ColumnOutput::GatherConverted(const LayoutColumn& column, const RowSelection& rows) {
  const WidenFunction widen = FindWiden(*column.type, *type_);
  for (int64_t i = 0; i < rows.count; ++i) {
    widen(rows.bodies[i] + column.slot_offset, target_ + rows.At(i) * physical_.width);
  }
}

void ColumnOutput::SetValue(const LayoutColumn& column, int64_t row, ByteSpan value) {
  if (physical_.is_variable) {
    spans_[row] = value;
    return;
  }
  uint8_t* target = target_ + row * physical_.width;
  const WidenFunction widen = FindWiden(*column.type, *type_);
  if (widen != nullptr) {
    widen(value.data(), target);
  } else {
    std::memcpy(target, value.data(), physical_.width);
  }
}

void ColumnOutput::FillConstant(const LayoutColumn& column, ByteSpan value,
                                const RowSelection& rows) {
  for (int64_t i = 0; i < rows.count; ++i) SetValue(column, rows.At(i), value);
}

Result<std::shared_ptr<arrow::Array>> ColumnOutput::Finish(
    const std::shared_ptr<arrow::Buffer>& found, int64_t found_count) {
  auto data = std::make_shared<arrow::ArrayData>();
  ARROW_RETURN_NOT_OK(FinishData(found, found_count, data.get()));
  return arrow::MakeArray(std::move(data));
}

Status ColumnOutput::FinishData(const std::shared_ptr<arrow::Buffer>& found, int64_t found_count,
                                arrow::ArrayData* data) {
  int64_t null_count = row_count_ - found_count;
  if (validity_ != nullptr) {
    if (found != nullptr) {
      uint8_t* bits = validity_->mutable_data();
      for (int64_t i = 0; i < validity_->size(); ++i) bits[i] &= found->data()[i];
    }
    null_count = arrow::kUnknownNullCount;
  } else if (null_count > 0) {
    validity_ = found;
  }
  if (physical_.is_variable) {
    return FillVariableData(std::move(type_), spans_, std::move(validity_), null_count, true, data);
  }
  FillFixedData(std::move(type_), row_count_, std::move(values_), std::move(validity_), null_count,
                data);
  return Status::OK();
}

}  // namespace fletching::segment
