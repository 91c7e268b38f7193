#include "ingest/ipc_metadata_guard.h"

#include <string>

namespace fletching::ingest {
namespace {

// Names, custom metadata and time zones of one message, unpacked. Pandas writes about 150 bytes of
// metadata a column, so ten thousand columns take 1.5 MB.
constexpr int64_t kTextBytesMax = int64_t{64} << 20;

// Slots of the tables in Arrow's Message.fbs and Schema.fbs that can grow.
constexpr size_t kMessageHeaderType = 1;
constexpr size_t kMessageHeader = 2;
constexpr size_t kMessageCustomMetadata = 4;
constexpr size_t kSchemaFields = 1;
constexpr size_t kSchemaCustomMetadata = 2;
constexpr size_t kFieldName = 0;
constexpr size_t kFieldTypeKind = 2;
constexpr size_t kFieldType = 3;
constexpr size_t kFieldChildren = 5;
constexpr size_t kFieldCustomMetadata = 6;
constexpr size_t kTimestampZone = 1;
constexpr size_t kUnionTypeIds = 1;
constexpr size_t kDictionaryData = 1;
constexpr size_t kBatchCompression = 3;
constexpr uint8_t kHeaderIsSchema = 1;
constexpr uint8_t kHeaderIsDictionary = 2;
constexpr uint8_t kHeaderIsBatch = 3;
constexpr uint8_t kTypeIsTimestamp = 10;
constexpr uint8_t kTypeIsUnion = 14;

Status Broken() { return InvalidArgument("message metadata is not a valid Flatbuffer"); }

// Positions are bytes from the start of the metadata; 0 stands for "not there".
class Walker {
 public:
  Walker(ByteSpan bytes, const DecodeLimits& limits) : bytes_(bytes), limits_(limits) {}

  Status CheckMessage() {
    ARROW_ASSIGN_OR_RAISE(const size_t message, Follow(0));
    ARROW_RETURN_NOT_OK(AddPairs(message, kMessageCustomMetadata));
    ARROW_ASSIGN_OR_RAISE(const uint8_t kind, ByteAt(message, kMessageHeaderType));
    if (kind != kHeaderIsSchema) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const size_t schema, Child(message, kMessageHeader));
    if (schema == 0) return Status::OK();
    ARROW_RETURN_NOT_OK(AddPairs(schema, kSchemaCustomMetadata));
    return AddFields(schema, kSchemaFields, 0);
  }

  Result<bool> FindCompression() {
    ARROW_ASSIGN_OR_RAISE(const size_t message, Follow(0));
    ARROW_ASSIGN_OR_RAISE(const uint8_t kind, ByteAt(message, kMessageHeaderType));
    if (kind != kHeaderIsDictionary && kind != kHeaderIsBatch) return false;
    ARROW_ASSIGN_OR_RAISE(size_t batch, Child(message, kMessageHeader));
    if (batch != 0 && kind == kHeaderIsDictionary) {
      ARROW_ASSIGN_OR_RAISE(batch, Child(batch, kDictionaryData));
    }
    if (batch == 0) return false;
    ARROW_ASSIGN_OR_RAISE(const size_t compression, Child(batch, kBatchCompression));
    return compression != 0;
  }

 private:
  template <typename T>
  Result<T> Load(size_t at) const {
    if (at > bytes_.size() || sizeof(T) > bytes_.size() - at) return Broken();
    return LoadAs<T>(bytes_.data() + at);
  }

  // Where the reference stored at `at` leads to. References only lead forward.
  Result<size_t> Follow(size_t at) const {
    ARROW_ASSIGN_OR_RAISE(const uint32_t distance, Load<uint32_t>(at));
    if (distance > bytes_.size() - at) return Broken();
    return at + distance;
  }

  // Position of a table's slot. A table starts with the distance back to its list of slots.
  Result<size_t> Slot(size_t table, size_t slot) const {
    ARROW_ASSIGN_OR_RAISE(const int32_t back, Load<int32_t>(table));
    const int64_t list = static_cast<int64_t>(table) - back;
    if (list < 0) return Broken();
    const auto first = static_cast<size_t>(list);
    ARROW_ASSIGN_OR_RAISE(const uint16_t list_bytes, Load<uint16_t>(first));
    const size_t entry = 4 + 2 * slot;
    if (entry + 2 > list_bytes) return 0;
    ARROW_ASSIGN_OR_RAISE(const uint16_t offset, Load<uint16_t>(first + entry));
    return offset == 0 ? 0 : table + offset;
  }

  Result<uint8_t> ByteAt(size_t table, size_t slot) const {
    ARROW_ASSIGN_OR_RAISE(const size_t at, Slot(table, slot));
    if (at == 0) return uint8_t{0};
    return Load<uint8_t>(at);
  }

  Result<size_t> Child(size_t table, size_t slot) const {
    ARROW_ASSIGN_OR_RAISE(const size_t at, Slot(table, slot));
    return at == 0 ? Result<size_t>(0) : Follow(at);
  }

  Status AddText(int64_t bytes) {
    text_bytes_ += bytes;
    if (text_bytes_ <= kTextBytesMax) return Status::OK();
    return TooLarge("the names and metadata of a schema unfold to more than 64 MiB");
  }

  // Adds a string, or a vector whose elements have `width` bytes.
  Status AddVector(size_t table, size_t slot, int64_t width) {
    ARROW_ASSIGN_OR_RAISE(const size_t vector, Child(table, slot));
    if (vector == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const uint32_t length, Load<uint32_t>(vector));
    return AddText(length * width);
  }

  Status AddPairs(size_t table, size_t slot) {
    ARROW_ASSIGN_OR_RAISE(const size_t vector, Child(table, slot));
    if (vector == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const uint32_t count, Load<uint32_t>(vector));
    for (size_t at = 0; at < count; ++at) {
      ARROW_ASSIGN_OR_RAISE(const size_t pair, Follow(vector + 4 + 4 * at));
      ARROW_RETURN_NOT_OK(AddText(2 * sizeof(std::string)));
      ARROW_RETURN_NOT_OK(AddVector(pair, 0, 1));
      ARROW_RETURN_NOT_OK(AddVector(pair, 1, 1));
    }
    return Status::OK();
  }

  Status AddFields(size_t table, size_t slot, int32_t depth) {
    ARROW_ASSIGN_OR_RAISE(const size_t vector, Child(table, slot));
    if (vector == 0) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const uint32_t count, Load<uint32_t>(vector));
    if (count > 0 && depth > limits_.nesting_max) {
      return InvalidArgument("columns nest deeper than " + std::to_string(limits_.nesting_max));
    }
    // Columns that a write ignores may be structs of a few fields each.
    const int64_t fields_max = int64_t{8} * limits_.column_count_max;
    field_count_ += count;
    if ((depth == 0 && count > static_cast<uint32_t>(limits_.column_count_max)) ||
        field_count_ > fields_max) {
      return TooLarge("the schema has more than " + std::to_string(limits_.column_count_max) +
                      " columns");
    }
    for (size_t at = 0; at < count; ++at) {
      ARROW_ASSIGN_OR_RAISE(const size_t field, Follow(vector + 4 + 4 * at));
      ARROW_RETURN_NOT_OK(AddField(field, depth));
    }
    return Status::OK();
  }

  Status AddField(size_t field, int32_t depth) {
    ARROW_RETURN_NOT_OK(AddVector(field, kFieldName, 1));
    ARROW_RETURN_NOT_OK(AddPairs(field, kFieldCustomMetadata));
    ARROW_ASSIGN_OR_RAISE(const uint8_t kind, ByteAt(field, kFieldTypeKind));
    ARROW_ASSIGN_OR_RAISE(const size_t type, Child(field, kFieldType));
    if (type != 0 && kind == kTypeIsTimestamp) {
      ARROW_RETURN_NOT_OK(AddVector(type, kTimestampZone, 1));
    }
    if (type != 0 && kind == kTypeIsUnion) {
      ARROW_RETURN_NOT_OK(AddVector(type, kUnionTypeIds, sizeof(int32_t)));
    }
    return AddFields(field, kFieldChildren, depth + 1);
  }

  const ByteSpan bytes_;
  const DecodeLimits& limits_;
  int64_t text_bytes_ = 0;
  int64_t field_count_ = 0;
};

}  // namespace

Status CheckIpcMetadata(ByteSpan metadata, const DecodeLimits& limits) {
  return Walker(metadata, limits).CheckMessage();
}

bool IsCompressed(ByteSpan metadata) {
  return Walker(metadata, DecodeLimits()).FindCompression().ValueOr(true);
}

}  // namespace fletching::ingest
