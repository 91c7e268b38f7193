#include "segment/keys.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/type.h>

#include "format/segment_layout.h"
#include "segment/physical.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace fletching::segment {
namespace {

Status CheckLength(uint64_t bytes) {
  if (bytes > format::kKeyBytesMax) {
    return InvalidArgument("a key has " + std::to_string(bytes) + " bytes; at most " +
                           std::to_string(format::kKeyBytesMax) + " are possible");
  }
  return Status::OK();
}

Result<KeyBatch> EncodeSingle(const std::shared_ptr<arrow::Array>& column) {
  ARROW_ASSIGN_OR_RAISE(PhysicalColumn physical, MakePhysical(column));
  KeyBatch keys;
  keys.count = column->length();
  keys.bytes = physical.values;
  keys.offsets = physical.offsets;
  keys.width = physical.offsets != nullptr ? -1 : static_cast<int32_t>(physical.width);
  // Also the guard against lying offsets: one that goes backwards is a huge unsigned size.
  uint32_t longest = 0;
  for (int64_t i = 0; keys.offsets != nullptr && i < keys.count; ++i) {
    longest = std::max(longest, keys.Size(i));
  }
  ARROW_RETURN_NOT_OK(CheckLength(longest));
  keys.owners = std::move(physical.owners);
  return keys;
}

Result<KeyBatch> EncodeSeveral(const KeyArrays& columns) {
  std::vector<PhysicalColumn> parts;
  uint32_t fixed = 0;
  bool all_fixed = true;
  for (const auto& column : columns) {
    ARROW_ASSIGN_OR_RAISE(PhysicalColumn part, MakePhysical(column));
    fixed += part.offsets != nullptr ? 4 : part.width;
    all_fixed = all_fixed && part.offsets == nullptr;
    parts.push_back(std::move(part));
  }
  KeyBatch keys;
  keys.count = columns[0]->length();
  auto offsets = std::make_shared<std::vector<int32_t>>();
  int64_t total = 0;
  if (!all_fixed) offsets->push_back(0);
  for (int64_t row = 0; row < keys.count; ++row) {
    uint64_t size = fixed;
    for (const PhysicalColumn& part : parts) {
      if (part.offsets == nullptr) continue;
      // Each alone, too: offsets of a request may decrease, and two such sizes could add up.
      const uint64_t part_bytes = part.Value(row).size();
      ARROW_RETURN_NOT_OK(CheckLength(part_bytes));
      size += part_bytes;
    }
    ARROW_RETURN_NOT_OK(CheckLength(size));
    total += static_cast<int64_t>(size);
    if (total > std::numeric_limits<int32_t>::max()) {
      return TooLarge("the keys of one batch exceed 2 GiB; send fewer at a time");
    }
    if (!all_fixed) offsets->push_back(static_cast<int32_t>(total));
  }
  auto bytes = std::make_shared<std::vector<uint8_t>>(static_cast<size_t>(total) + 1);
  uint8_t* at = bytes->data();
  for (int64_t row = 0; row < keys.count; ++row) {
    for (const PhysicalColumn& part : parts) {
      const ByteSpan value = part.Value(row);
      if (part.offsets != nullptr) {
        StoreAs(at, static_cast<uint32_t>(value.size()));
        at += 4;
      }
      if (!value.empty()) std::memcpy(at, value.data(), value.size());
      at += value.size();
    }
  }
  keys.bytes = bytes->data();
  keys.offsets = all_fixed ? nullptr : offsets->data();
  keys.width = all_fixed ? static_cast<int32_t>(fixed) : -1;
  keys.owners.push_back(bytes);
  keys.owners.push_back(offsets);
  return keys;
}

}  // namespace

int32_t KeyWidth(const TableSchema& schema) {
  uint32_t width = 0;
  for (const std::string& name : schema.key) {
    const Physical physical = PhysicalOf(*schema.Find(name)->type);
    if (physical.is_variable) return -1;
    width += physical.width;
  }
  return static_cast<int32_t>(width);
}

Result<KeyBatch> EncodeKeys(const KeyArrays& columns) {
  return columns.size() == 1 ? EncodeSingle(columns[0]) : EncodeSeveral(columns);
}

void HashKeys(const KeyBatch& keys, uint64_t seed, uint64_t* hashes_out) {
  for (int64_t i = 0; i < keys.count; ++i) {
    hashes_out[i] = XXH3_64bits_withSeed(keys.Data(i), keys.Size(i), seed);
  }
}

uint64_t HashKey(ByteSpan key, uint64_t seed) {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

Result<KeyArrays> DecodeKeys(const TableSchema& schema, const std::vector<ByteSpan>& keys) {
  const size_t column_count = schema.key.size();
  std::vector<std::vector<ByteSpan>> values(column_count);
  for (auto& column : values) column.reserve(keys.size());
  for (ByteSpan key : keys) {
    for (size_t c = 0; c < column_count; ++c) {
      const Physical physical = PhysicalOf(*schema.Find(schema.key[c])->type);
      size_t size = physical.width;
      if (physical.is_variable && column_count == 1) {
        size = key.size();
      } else if (physical.is_variable) {
        if (key.size() < 4) return Corruption("key", 0, "the length of a part is cut");
        size = LoadAs<uint32_t>(key.data());
        key = key.subspan(4);
      }
      if (key.size() < size) return Corruption("key", 0, "its parts do not fit its length");
      values[c].push_back(key.first(size));
      key = key.subspan(size);
    }
    if (!key.empty()) return Corruption("key", 0, "bytes are left after its last part");
  }
  KeyArrays columns;
  const auto row_count = static_cast<int64_t>(keys.size());
  for (size_t c = 0; c < column_count; ++c) {
    const auto& type = schema.Find(schema.key[c])->type;
    const Physical physical = PhysicalOf(*type);
    auto data = std::make_shared<arrow::ArrayData>();
    if (physical.is_variable) {
      ARROW_RETURN_NOT_OK(FillVariableData(type, values[c], nullptr, 0, false, data.get()));
    } else {
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bytes,
                            arrow::AllocateBuffer(row_count * physical.width));
      uint8_t* at = bytes->mutable_data();
      for (const ByteSpan value : values[c]) {
        std::memcpy(at, value.data(), value.size());
        at += physical.width;
      }
      FillFixedData(type, row_count, std::move(bytes), nullptr, 0, data.get());
    }
    columns.push_back(arrow::MakeArray(std::move(data)));
  }
  return columns;
}

}  // namespace fletching::segment
