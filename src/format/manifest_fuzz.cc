// Any bytes as the payload of a manifest whose checksums fit: what decodes says the same when it is
// encoded and decoded again.
#include "format/manifest.h"

#include <cstddef>
#include <cstring>

#include "base/checksum.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  using namespace fletching;
  using format::ManifestHeader;
  std::vector<uint8_t> file(sizeof(ManifestHeader) + bytes);
  if (bytes > 0) std::memcpy(file.data() + sizeof(ManifestHeader), data, bytes);
  // Version 2 ends in a text or more, so what is cut there may be version 1.
  const uint32_t version = bytes % 2 == 0 ? 1 : 2;
  ManifestHeader header{format::kManifestMagic,  version, sizeof(ManifestHeader), bytes,
                        Checksum({data, bytes}), 0};
  header.checksum =
      Checksum({reinterpret_cast<const uint8_t*>(&header), offsetof(ManifestHeader, checksum)});
  StoreAs(file.data(), header);
  const auto manifest = format::DecodeManifest(file, "fuzz.flman");
  if (!manifest.ok()) return 0;
  const std::vector<uint8_t> again = format::EncodeManifest(*manifest);
  const auto same = format::DecodeManifest(again, "again.flman");
  if (!same.ok() || format::EncodeManifest(*same) != again) __builtin_trap();
  return 0;
}
