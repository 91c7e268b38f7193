#include "ingest/parquet_footer_guard.h"

#include <string>

#include "ingest/budget.h"

namespace fletching::ingest {
namespace {

// Thrift's own readers stop at 64; real footers nest five deep.
constexpr int kDepthMax = 32;

// Bytes of one entry of a list, by what lists hold at that depth: schema elements, row groups and
// key-value pairs; column chunks with their metadata (measured: 690); then small structs.
constexpr int64_t kStructBytes[] = {512, 768, 128};
constexpr int64_t kStringBytes = 32;
constexpr int64_t kNumberBytes = 8;

// The compact protocol's types. A boolean field carries its value in the type.
enum Type : uint8_t {
  kStop = 0,
  kTrue = 1,
  kFalse = 2,
  kByte = 3,
  kInt16 = 4,
  kInt32 = 5,
  kInt64 = 6,
  kDouble = 7,
  kBinary = 8,
  kList = 9,
  kSet = 10,
  kMap = 11,
  kStruct = 12,
  kUuid = 13,
};

Status Broken() { return InvalidArgument("the footer is damaged"); }

class Walker {
 public:
  Walker(ByteSpan bytes, int64_t unpacked_bytes_max)
      : bytes_(bytes), unpacked_bytes_max_(unpacked_bytes_max) {}

  Status SkipStruct(int depth) {
    while (true) {
      ARROW_ASSIGN_OR_RAISE(const uint8_t head, Byte());
      if (head == kStop) return Status::OK();
      const bool id_is_written_out = (head >> 4) == 0;
      if (id_is_written_out) ARROW_RETURN_NOT_OK(Varint().status());
      const auto type = static_cast<Type>(head & 0x0f);
      if (type == kTrue || type == kFalse) continue;
      ARROW_RETURN_NOT_OK(SkipValue(type, depth));
    }
  }

 private:
  Result<uint8_t> Byte() {
    if (at_ >= bytes_.size()) return Broken();
    return bytes_[at_++];
  }

  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      ARROW_ASSIGN_OR_RAISE(const uint8_t byte, Byte());
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    return Broken();
  }

  Status Skip(uint64_t count) {
    if (count > bytes_.size() - at_) return Broken();
    at_ += count;
    return Status::OK();
  }

  // Every entry takes a byte at least, so a count beyond the end is a lie.
  Status Charge(uint64_t count, int64_t bytes_each) {
    if (count > bytes_.size() - at_) return Broken();
    unpacked_bytes_ += static_cast<int64_t>(count) * bytes_each;
    if (unpacked_bytes_ <= unpacked_bytes_max_) return Status::OK();
    return TooLarge("the footer unpacks to more than " + ByteText(unpacked_bytes_max_) +
                    "; write fewer row groups or columns");
  }

  Status SkipValue(Type type, int depth) {
    if (depth > kDepthMax) return Broken();
    switch (type) {
      case kTrue:
      case kFalse:
      case kByte:
        return Skip(1);
      case kInt16:
      case kInt32:
      case kInt64:
        return Varint().status();
      case kDouble:
        return Skip(8);
      case kUuid:
        return Skip(16);
      case kBinary: {
        ARROW_ASSIGN_OR_RAISE(const uint64_t length, Varint());
        ARROW_RETURN_NOT_OK(Charge(length, 1));
        return Skip(length);
      }
      case kList:
      case kSet:
        return SkipList(depth);
      case kMap:
        return SkipMap(depth);
      case kStruct:
        return SkipStruct(depth + 1);
      default:
        return Broken();
    }
  }

  Status SkipList(int depth) {
    ARROW_ASSIGN_OR_RAISE(const uint8_t head, Byte());
    const auto type = static_cast<Type>(head & 0x0f);
    uint64_t count = head >> 4;
    if (count == 15) {
      ARROW_ASSIGN_OR_RAISE(count, Varint());
    }
    int64_t bytes_each = type == kBinary ? kStringBytes : kNumberBytes;
    if (type == kStruct) bytes_each = kStructBytes[depth < 2 ? depth : 2];
    ARROW_RETURN_NOT_OK(Charge(count, bytes_each));
    const int entry_depth = type == kStruct ? depth : depth + 1;  // structs count themselves
    for (uint64_t entry = 0; entry < count; ++entry) {
      ARROW_RETURN_NOT_OK(SkipValue(type, entry_depth));
    }
    return Status::OK();
  }

  Status SkipMap(int depth) {
    ARROW_ASSIGN_OR_RAISE(const uint64_t count, Varint());
    if (count == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const uint8_t types, Byte());
    ARROW_RETURN_NOT_OK(Charge(count, kStructBytes[0]));
    for (uint64_t entry = 0; entry < count; ++entry) {
      ARROW_RETURN_NOT_OK(SkipValue(static_cast<Type>(types >> 4), depth + 1));
      ARROW_RETURN_NOT_OK(SkipValue(static_cast<Type>(types & 0x0f), depth + 1));
    }
    return Status::OK();
  }

  const ByteSpan bytes_;
  const int64_t unpacked_bytes_max_;
  size_t at_ = 0;
  int64_t unpacked_bytes_ = 0;
};

}  // namespace

Status CheckParquetFooter(ByteSpan footer, int64_t unpacked_bytes_max) {
  return Walker(footer, unpacked_bytes_max).SkipStruct(0);
}

}  // namespace fletching::ingest
