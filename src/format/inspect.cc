#include "format/inspect.h"

#include "base/checksum.h"
#include "format/log_layout.h"
#include "format/manifest.h"
#include "format/segment_layout.h"

namespace fletching::format {

FileKind KindOfFile(const std::string& path, ByteSpan bytes) {
  const std::string name = path.ends_with(".tmp") ? path.substr(0, path.size() - 4) : path;
  if (name.ends_with(".flman")) return FileKind::kManifest;
  if (name.ends_with(".flseg")) return FileKind::kSegment;
  if (name.ends_with(".fllog")) return FileKind::kLog;
  if (bytes.size() < sizeof(uint64_t)) return FileKind::kUnknown;
  const auto magic = LoadAs<uint64_t>(bytes.data());
  return magic == kManifestMagic  ? FileKind::kManifest
         : magic == kSegmentMagic ? FileKind::kSegment
         : magic == kLogMagic     ? FileKind::kLog
                                  : FileKind::kUnknown;
}

InspectReport InspectBytes(FileKind kind, ByteSpan bytes, const InspectOptions& options) {
  constexpr const char* kNames[] = {"manifest", "segment", "log", "unknown"};
  Inspection out(bytes, kNames[static_cast<size_t>(kind)], options.show_all);
  switch (kind) {
    case FileKind::kManifest:
      InspectManifest(&out);
      break;
    case FileKind::kSegment:
      InspectSegment(options.checks_blocks, &out);
      break;
    case FileKind::kLog:
      InspectLog(&out);
      break;
    case FileKind::kUnknown:
      out.Problem(0, "neither a manifest, a segment nor a log");
      break;
  }
  return out.Take();
}

void InspectManifest(Inspection* out) {
  const ByteSpan bytes = out->bytes();
  const uint64_t payload_at = sizeof(ManifestHeader);
  out->AddStruct(1, "header", 0, "ManifestHeader", kManifestMagic);
  if (bytes.size() < payload_at) return;
  const auto header = LoadAs<ManifestHeader>(bytes.data());
  if (header.version > kManifestVersion) {
    return out->Problem(offsetof(ManifestHeader, version), "written by a newer Fletching");
  }
  const ByteSpan payload = bytes.subspan(payload_at);
  const bool fits = Checksum(payload) == header.payload_checksum;
  out->Add(1, "payload", payload_at, payload.size(), "",
           fits ? "payload_checksum ok" : "payload_checksum differs");
  if (payload.size() != header.payload_bytes) {
    out->Problem(payload_at, "the header says " + std::to_string(header.payload_bytes) + " bytes");
  } else if (!fits) {
    out->Problem(payload_at, "payload checksum differs");
  }
  std::string table;
  uint64_t column_count = 0;
  uint64_t segment_count = 0;
  std::string hidden_list;
  uint64_t hidden_count = 0;
  const auto end_list = [&] {
    out->AddRest(2, std::exchange(hidden_count, 0));
    hidden_list.clear();
  };
  const Status status =
      VisitManifestPayload(payload, header.version, "", [&](const ManifestField& field) {
        const std::string name = field.name;
        const bool is_text = field.type == "text";
        if (name == "table_name") table = Quoted(field.value);
        if (name == "columns.id") column_count = static_cast<uint64_t>(field.index) + 1;
        if (name == "segments.number") segment_count = static_cast<uint64_t>(field.index) + 1;
        const std::string list = name.substr(0, name.find('.'));
        if (list != hidden_list) end_list();
        if (field.index >= 0 && !out->Shows(static_cast<uint64_t>(field.index))) {
          hidden_list = list;
          hidden_count += name == list + ".id" || name == list + ".number" || name == "key.name" ||
                          name == "metadata.name";
          return;
        }
        std::string shown = name;
        if (field.index >= 0) {
          shown = list + "[" + std::to_string(field.index) + "]" + name.substr(list.size());
        }
        const std::string value = is_text               ? Quoted(field.value)
                                  : name == "hash_seed" ? Hex(std::stoull(field.value))
                                                        : field.value;
        out->Add(field.index >= 0 ? 3 : 2, std::move(shown), payload_at + field.offset, field.size,
                 field.type, value);
      });
  end_list();
  if (!status.ok()) {
    // ": offset N: what", with no name in front.
    out->Add(2, "the rest", bytes.size(), 0, "", "cannot be read");
    const std::string text = status.message();
    const size_t at = text.find("offset ");
    const uint64_t offset = at == std::string::npos ? 0 : std::strtoull(&text[at + 7], nullptr, 10);
    const size_t what = text.find(": ", at == std::string::npos ? 0 : at);
    out->Problem(offset, what == std::string::npos ? text : text.substr(what + 2));
  }
  out->SetSummary("table " + table + ", " + std::to_string(column_count) + " columns, " +
                  std::to_string(segment_count) + " segments");
}

}  // namespace fletching::format
