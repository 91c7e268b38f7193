#include "format/remote_root.h"

#include "format/payload.h"

namespace fletching::format {
namespace {

constexpr PayloadKind kKind{kRemoteRootMagic, kRemoteRootVersion, "root of a remote"};

}  // namespace

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
  return PutHeader(kKind, kRemoteRootVersion, out.Take());
}

Result<RemoteRoot> DecodeRemoteRoot(ByteSpan bytes, const std::string& where) {
  uint32_t version = 0;
  ARROW_ASSIGN_OR_RAISE(const ByteSpan payload, TakeHeader(kKind, bytes, where, &version));
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
