#include "format/payload.h"

#include "base/checksum.h"

namespace fletching::format {

std::vector<uint8_t> PutHeader(const PayloadKind& kind, uint32_t version, ByteSpan payload) {
  PayloadHeader header{kind.magic,     version,           sizeof(PayloadHeader),
                       payload.size(), Checksum(payload), 0};
  header.checksum =
      Checksum({reinterpret_cast<const uint8_t*>(&header), offsetof(PayloadHeader, checksum)});
  std::vector<uint8_t> bytes(sizeof(header) + payload.size());
  StoreAs(bytes.data(), header);
  if (!payload.empty()) std::memcpy(bytes.data() + sizeof(header), payload.data(), payload.size());
  return bytes;
}

Result<ByteSpan> TakeHeader(const PayloadKind& kind, ByteSpan bytes, const std::string& where,
                            uint32_t* version) {
  const std::string name(kind.name);
  if (bytes.size() < sizeof(PayloadHeader)) return Corruption(where, 0, "shorter than its header");
  const auto header = LoadAs<PayloadHeader>(bytes.data());
  if (header.magic != kind.magic) return Corruption(where, 0, "not a " + name + " (wrong magic)");
  if (header.version > kind.version_max) {
    return Unsupported(where + ": " + name + " version " + std::to_string(header.version) +
                       " was written by a newer Fletching; this one reads up to " +
                       std::to_string(kind.version_max));
  }
  if (Checksum(bytes.first(offsetof(PayloadHeader, checksum))) != header.checksum) {
    return Corruption(where, offsetof(PayloadHeader, checksum), "header checksum differs");
  }
  const ByteSpan payload = bytes.subspan(sizeof(PayloadHeader));
  if (payload.size() != header.payload_bytes) {
    return Corruption(where, offsetof(PayloadHeader, payload_bytes),
                      "length differs from the file's");
  }
  if (Checksum(payload) != header.payload_checksum) {
    return Corruption(where, sizeof(PayloadHeader), "payload checksum differs");
  }
  *version = header.version;
  return payload;
}

}  // namespace fletching::format
