#include "ingest/ipc_metadata_guard.h"

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/base64.h"
#include "arrow/util/key_value_metadata.h"
#include <gtest/gtest.h>

#include "ingest/test_samples.h"

namespace fletching::ingest {
namespace {

// Writes Flatbuffers by hand, so that references can share a target as no honest writer does.
class Flatbuffer {
 public:
  Flatbuffer() { Reference("root"); }

  // Slots are numbers (kept in `width` bytes) or references to names.
  struct Slot {
    size_t number;
    size_t width;  // 0 = a reference
    int64_t value = 0;
    std::string target = {};
  };
  void Table(const std::string& name, const std::vector<Slot>& slots) {
    std::vector<uint16_t> offsets(slots.empty() ? 0 : slots.back().number + 1);
    size_t bytes = 8;  // distance to the list of slots, padded
    for (const Slot& slot : slots) {
      offsets[slot.number] = static_cast<uint16_t>(bytes);
      bytes += 8;
    }
    Align();
    const size_t list = bytes_.size();
    Put<uint16_t>(static_cast<uint16_t>(4 + 2 * offsets.size()));
    Put<uint16_t>(static_cast<uint16_t>(bytes));
    for (const uint16_t offset : offsets) Put(offset);
    Align();
    const size_t table = names_[name] = bytes_.size();
    Put<int32_t>(static_cast<int32_t>(table - list));
    bytes_.resize(table + bytes);
    for (const Slot& slot : slots) {
      const size_t at = table + offsets[slot.number];
      if (slot.width == 0) references_.emplace_back(at, slot.target);
      std::memcpy(bytes_.data() + at, &slot.value, slot.width);
    }
  }

  void Vector(const std::string& name, size_t count, const std::string& target) {
    Align();
    names_[name] = bytes_.size();
    Put<uint32_t>(static_cast<uint32_t>(count));
    for (size_t at = 0; at < count; ++at) Reference(target);
  }

  void Text(const std::string& name, size_t length) {
    Align();
    names_[name] = bytes_.size();
    Put<uint32_t>(static_cast<uint32_t>(length));
    bytes_.append(length, 'x').append(1, '\0');
  }

  // With so many zero bytes behind: Arrow admits as many tables as the buffer has bytes, times 8.
  std::string Finish(size_t padding) {
    for (const auto& [at, target] : references_) {
      const auto distance = static_cast<uint32_t>(names_.at(target) - at);
      std::memcpy(bytes_.data() + at, &distance, sizeof(distance));
    }
    bytes_.append(padding, '\0');
    Align();
    return bytes_;
  }

 private:
  void Align() { bytes_.resize((bytes_.size() + 7) / 8 * 8); }
  template <typename T>
  void Put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void Reference(const std::string& target) {
    references_.emplace_back(bytes_.size(), target);
    Put<uint32_t>(0);
  }

  std::string bytes_;
  std::map<std::string, size_t> names_;
  std::vector<std::pair<size_t, std::string>> references_;
};

void AddMessage(Flatbuffer& buffer) {
  buffer.Table("root", {{0, 2, 4}, {1, 1, 1}, {2, 0, 0, "schema"}, {3, 8, 0}});
  buffer.Table("schema", {{1, 0, 0, "fields"}});
}
// An int32 field.
void AddLeaf(Flatbuffer& buffer) {
  buffer.Table("leaf",
               {{0, 0, 0, "name"}, {1, 1, 1}, {2, 1, 2}, {3, 0, 0, "int"}, {5, 0, 0, "none"}});
  buffer.Table("int", {{0, 4, 32}, {1, 1, 1}});
  buffer.Vector("none", 0, "leaf");
}

std::string SharedFields(size_t outer, size_t inner, size_t padding) {
  Flatbuffer buffer;
  AddMessage(buffer);
  buffer.Vector("fields", outer, "struct");
  buffer.Table(
      "struct",
      {{0, 0, 0, "name"}, {1, 1, 1}, {2, 1, 13}, {3, 0, 0, "struct_type"}, {5, 0, 0, "children"}});
  buffer.Table("struct_type", {});
  buffer.Vector("children", inner, "leaf");
  AddLeaf(buffer);
  buffer.Text("name", 1);
  return buffer.Finish(padding);
}

std::string SharedName(size_t fields, size_t name_bytes) {
  Flatbuffer buffer;
  AddMessage(buffer);
  buffer.Vector("fields", fields, "leaf");
  AddLeaf(buffer);
  buffer.Text("name", name_bytes);
  return buffer.Finish(0);
}

std::string Stream(const std::string& metadata) {
  const auto length = static_cast<int32_t>(metadata.size());
  std::string body("\xff\xff\xff\xff", 4);
  body.append(reinterpret_cast<const char*>(&length), sizeof(length));
  return body + metadata + std::string("\xff\xff\xff\xff\0\0\0\0", 8);
}

TEST(IpcMetadataGuard, TheHandMadeMessagesAreWhatArrowReads) {
  const auto reader = samples::OpenIpc(Stream(SharedFields(2, 3, 0)));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->schema()->num_fields(), 2);
  EXPECT_EQ((*reader)->schema()->field(0)->type()->num_fields(), 3);
}

TEST(IpcMetadataGuard, RefusesFieldsThatAreSharedAMillionTimes) {
  const std::string body = Stream(SharedFields(2000, 2000, 4 << 20));
  const int64_t before = samples::ResidentBytes();
  const auto reader = samples::OpenIpc(body);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kTooLarge) << reader.status();
  EXPECT_LT(samples::ResidentBytes() - before, int64_t{64} << 20);
}

TEST(IpcMetadataGuard, RefusesTextThatIsSharedManyTimes) {
  const auto reader = samples::OpenIpc(Stream(SharedName(5000, 1 << 20)));
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kTooLarge) << reader.status();
}

TEST(IpcMetadataGuard, RefusesTheSameInsideOfAParquetFooter) {
  const std::string message = Stream(SharedFields(2000, 2000, 4 << 20));
  const auto metadata =
      arrow::key_value_metadata({"ARROW:schema"}, {arrow::util::base64_encode(message)});
  const auto batch = samples::EveryType();
  const std::string body = samples::ParquetBody({batch->ReplaceSchemaMetadata(metadata)});
  const int64_t before = samples::ResidentBytes();
  const auto reader = samples::OpenParquetBody(body);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kTooLarge) << reader.status();
  EXPECT_LT(samples::ResidentBytes() - before, int64_t{64} << 20);
}

TEST(IpcMetadataGuard, AdmitsAsManyColumnsAsTheLimitAndNoMore) {
  for (const int count : {10'000, 10'001}) {
    arrow::FieldVector fields;
    arrow::ArrayVector columns;
    for (int at = 0; at < count; ++at) {
      fields.push_back(arrow::field("column_" + std::to_string(at), arrow::list(arrow::utf8())));
      columns.push_back(samples::ArrayOf(fields.back()->type(), R"([["a"]])"));
    }
    const auto batch = arrow::RecordBatch::Make(arrow::schema(fields), 1, columns);
    const auto read = samples::ReadAll(samples::OpenIpc(samples::IpcBody({batch})));
    EXPECT_EQ(read.ok(), count == 10'000) << read.status();
    if (!read.ok()) {
      EXPECT_EQ(CodeOf(read.status()), ErrorCode::kTooLarge);
    }
  }
}

TEST(IpcMetadataGuard, RefusesTypesThatNestTooDeep) {
  std::shared_ptr<arrow::DataType> type = arrow::int8();
  for (int depth = 0; depth < 12; ++depth) type = arrow::list(type);
  const auto batch = samples::BatchOf({"deep"}, {samples::ArrayOf(type, "[]")});
  const auto reader = samples::OpenIpc(samples::IpcBody({batch}));
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(CodeOf(reader.status()), ErrorCode::kInvalidArgument) << reader.status();
}

}  // namespace
}  // namespace fletching::ingest
