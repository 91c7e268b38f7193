// Manifests and remote roots: a header, then fields one after the other, little-endian, texts as a
// u32 length and their bytes.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fletching/status.h"

#include "base/bytes.h"
#include "format/manifest.h"

namespace fletching::format {

// What is checked before a field is read.
struct PayloadKind {
  uint64_t magic = 0;
  uint32_t version_max = 0;
  std::string_view name;  // "manifest"
};

// The header and the payload behind it.
std::vector<uint8_t> PutHeader(const PayloadKind& kind, uint32_t version, ByteSpan payload);
// -> the payload. `where` is only used in errors. Errors: kCorruption naming it and the offset;
// kUnsupported for a version newer than ours, saying so.
Result<ByteSpan> TakeHeader(const PayloadKind& kind, ByteSpan bytes, const std::string& where,
                            uint32_t* version);

class Encoder {
 public:
  template <typename T>
  void Put(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    StoreAs(bytes_.data() + at, value);
  }
  void PutText(std::string_view text) {
    Put(static_cast<uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// Reads fields in order; the first one that does not fit makes everything after it zero and is
// reported once by Finish, so the field list below stays readable.
class Decoder {
 public:
  Decoder(ByteSpan bytes, const FieldVisitor* visit) : bytes_(bytes), visit_(visit) {}

  // name: as in docs/format.md; index: of the item, in a list.
  template <typename T>
  T Get(const char* name, int64_t index = -1) {
    if (bytes_.size() - at_ < sizeof(T)) {
      failed_ = true;
      return T{};
    }
    const T value = LoadAs<T>(bytes_.data() + at_);
    at_ += sizeof(T);
    if (visit_ != nullptr && name != nullptr) {
      const std::string type =
          (std::is_signed_v<T> ? "i" : "u") + std::to_string(8 * sizeof(value));
      (*visit_)({prefix + name, index, type, at_ - sizeof(T), sizeof(T), std::to_string(value)});
    }
    return value;
  }
  std::string GetText(const char* name, int64_t index = -1) {
    const uint32_t size = Get<uint32_t>(nullptr);
    if (failed_ || bytes_.size() - at_ < size) {
      failed_ = true;
      return {};
    }
    std::string text(reinterpret_cast<const char*>(bytes_.data() + at_), size);
    at_ += size;
    if (visit_ != nullptr) {
      (*visit_)({prefix + name, index, "text", at_ - size - 4, size + 4ull, text});
    }
    return text;
  }
  // A count of items that take at least `item_bytes` each; a lie fails before memory is asked for.
  uint32_t GetCount(const char* name, size_t item_bytes) {
    const uint32_t count = Get<uint32_t>(name);
    if (failed_ || (bytes_.size() - at_) / item_bytes < count) {
      failed_ = true;
      return 0;
    }
    return count;
  }
  bool failed() const { return failed_; }
  bool at_end() const { return at_ == bytes_.size(); }
  uint64_t at() const { return at_; }

  std::string prefix;  // of the names that are visited

 private:
  ByteSpan bytes_;
  const FieldVisitor* const visit_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace fletching::format
