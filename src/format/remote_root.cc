#include "format/remote_root.h"

#include "base/checksum.h"
#include "format/payload.h"

namespace fletching::format {

std::vector<uint8_t> EncodeRemoteRoot(const RemoteRoot& root) {
  Encoder out;
  out.Put(root.sequence);
  out.PutText(root.writer_id);
  out.Put(root.published_time_us);
  out.Put(static_cast<uint32_t>(root.tables.size()));
  for (const RemoteTable& table : root.tables) {
    out.Put(table.id);
    out.PutText(table.manifest);
    out.Put(static_cast<uint32_t>(table.segments.size()));
    for (const std::string& segment : table.segments) out.PutText(segment);
  }
  const std::vector<uint8_t> payload = out.Take();
  RemoteRootHeader header{kRemoteRootMagic, kRemoteRootVersion, sizeof(RemoteRootHeader),
                          payload.size(),   Checksum(payload),  0};
  header.checksum =
      Checksum({reinterpret_cast<const uint8_t*>(&header), offsetof(RemoteRootHeader, checksum)});
  std::vector<uint8_t> bytes(sizeof(header) + payload.size());
  StoreAs(bytes.data(), header);
  std::memcpy(bytes.data() + sizeof(header), payload.data(), payload.size());
  return bytes;
}

Result<RemoteRoot> DecodeRemoteRoot(ByteSpan bytes, const std::string& where) {
  if (bytes.size() < sizeof(RemoteRootHeader)) {
    return Corruption(where, 0, "shorter than its header");
  }
  const auto header = LoadAs<RemoteRootHeader>(bytes.data());
  if (header.magic != kRemoteRootMagic) return Corruption(where, 0, "no root of a remote");
  if (header.version > kRemoteRootVersion) {
    return Unsupported(where + ": root version " + std::to_string(header.version) +
                       " was written by a newer Fletching; this one reads up to " +
                       std::to_string(kRemoteRootVersion));
  }
  if (Checksum(bytes.first(offsetof(RemoteRootHeader, checksum))) != header.checksum) {
    return Corruption(where, offsetof(RemoteRootHeader, checksum), "header checksum differs");
  }
  const ByteSpan payload = bytes.subspan(sizeof(RemoteRootHeader));
  if (payload.size() != header.payload_bytes) {
    return Corruption(where, offsetof(RemoteRootHeader, payload_bytes), "length differs");
  }
  if (Checksum(payload) != header.payload_checksum) {
    return Corruption(where, sizeof(RemoteRootHeader), "payload checksum differs");
  }
  Decoder in(payload, nullptr);
  RemoteRoot root;
  root.sequence = in.Get<uint64_t>("sequence");
  root.writer_id = in.GetText("writer_id");
  root.published_time_us = in.Get<int64_t>("published_time_us");
  root.tables.resize(in.GetCount("tables", 16));
  for (RemoteTable& table : root.tables) {
    table.id = in.Get<uint64_t>("tables.id");
    table.manifest = in.GetText("tables.manifest");
    table.segments.resize(in.GetCount("tables.segments", 4));
    for (std::string& segment : table.segments) segment = in.GetText("tables.segments.key");
  }
  if (in.failed() || !in.at_end()) {
    return Corruption(where, sizeof(RemoteRootHeader) + in.at(), "fields do not fill the payload");
  }
  return root;
}

}  // namespace fletching::format
