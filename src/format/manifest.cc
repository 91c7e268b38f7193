#include "format/manifest.h"

#include <type_traits>
#include <utility>

#include "base/checksum.h"
#include "format/payload.h"

namespace fletching::format {
namespace {

constexpr PayloadKind kKind{kManifestMagic, kManifestVersion, "manifest"};

void EncodeSchema(const TableSchema& schema, Encoder* out) {
  out->Put(static_cast<uint32_t>(schema.columns.size()));
  for (const ColumnSchema& column : schema.columns) {
    out->Put(column.id);
    out->Put(static_cast<uint8_t>((column.nullable ? 1 : 0) | (column.strict ? 2 : 0)));
    out->PutText(column.name);
    out->PutText(TypeName(*column.type));
  }
  out->Put(static_cast<uint32_t>(schema.key.size()));
  for (const std::string& name : schema.key) out->PutText(name);
  out->PutText(schema.event_time);
  out->Put(schema.ttl_ms);
  out->Put(static_cast<uint32_t>(schema.metadata.size()));
  for (const auto& [name, value] : schema.metadata) {
    out->PutText(name);
    out->PutText(value);
  }
}

Status DecodeSchema(Decoder* in, TableSchema* schema) {
  schema->columns.resize(in->GetCount("columns", 13));
  int64_t index = 0;
  for (ColumnSchema& column : schema->columns) {
    column.id = in->Get<uint32_t>("columns.id", index);
    const uint8_t flags = in->Get<uint8_t>("columns.flags", index);
    column.nullable = (flags & 1) != 0;
    column.strict = (flags & 2) != 0;
    column.name = in->GetText("columns.name", index);
    ARROW_ASSIGN_OR_RAISE(column.type, ParseTypeName(in->GetText("columns.type", index)));
    ++index;
  }
  schema->key.resize(in->GetCount("key", 4));
  index = 0;
  for (std::string& name : schema->key) name = in->GetText("key.name", index++);
  schema->event_time = in->GetText("event_time");
  schema->ttl_ms = in->Get<int64_t>("ttl_ms");
  const uint32_t metadata_count = in->GetCount("metadata", 8);
  for (uint32_t i = 0; i < metadata_count; ++i) {
    std::string name = in->GetText("metadata.name", i);
    schema->metadata[std::move(name)] = in->GetText("metadata.value", i);
  }
  return CheckSchema(*schema);
}

void EncodeSegments(const std::vector<ManifestSegment>& segments, Encoder* out) {
  out->Put(static_cast<uint32_t>(segments.size()));
  for (const ManifestSegment& segment : segments) {
    out->Put(segment.number);
    out->Put(segment.row_count);
    out->Put(segment.file_bytes);
    out->Put(segment.newest_time_us);
  }
}

std::vector<ManifestSegment> DecodeSegments(Decoder* in) {
  std::vector<ManifestSegment> segments(in->GetCount("segments", 32));
  int64_t index = 0;
  for (ManifestSegment& segment : segments) {
    segment.number = in->Get<uint64_t>("segments.number", index);
    segment.row_count = in->Get<uint64_t>("segments.row_count", index);
    segment.file_bytes = in->Get<uint64_t>("segments.file_bytes", index);
    segment.newest_time_us = in->Get<int64_t>("segments.newest_time_us", index);
    ++index;
  }
  return segments;
}

Status DecodeGenerations(Decoder* in, Manifest* manifest) {
  manifest->generation = in->GetText("generation");
  manifest->loaded_time_us = in->Get<int64_t>("loaded_time_us");
  manifest->partition_count = in->Get<uint32_t>("partition_count");
  manifest->rejected = in->GetText("rejected");
  const auto has_previous = in->Get<uint8_t>("has_previous");
  if (has_previous > 1) return InvalidArgument("has_previous is neither 0 nor 1");
  if (has_previous == 0) return Status::OK();
  in->prefix = "previous.";
  ManifestGeneration& previous = manifest->previous.emplace();
  previous.name = in->GetText("generation");
  previous.loaded_time_us = in->Get<int64_t>("loaded_time_us");
  previous.partition_count = in->Get<uint32_t>("partition_count");
  ARROW_RETURN_NOT_OK(DecodeSchema(in, &previous.schema));
  previous.segments = DecodeSegments(in);
  return Status::OK();
}

// Errors: kCorruption naming the offset in the file.
Status DecodePayload(ByteSpan payload, uint32_t version, const std::string& file,
                     const FieldVisitor* visit, Manifest* manifest) {
  Decoder in(payload, visit);
  manifest->table_name = in.GetText("table_name");
  manifest->number = in.Get<uint64_t>("number");
  manifest->commit = in.Get<uint64_t>("commit");
  manifest->log_number = in.Get<uint64_t>("log_number");
  manifest->next_segment = in.Get<uint64_t>("next_segment");
  manifest->next_column_id = in.Get<uint32_t>("next_column_id");
  manifest->hash_seed = in.Get<uint64_t>("hash_seed");
  Status sound = DecodeSchema(&in, &manifest->schema);
  manifest->segments = DecodeSegments(&in);
  if (sound.ok() && version >= 2) sound = DecodeGenerations(&in, manifest);
  if (!sound.ok()) return Corruption(file, sizeof(ManifestHeader) + in.at(), sound.message());
  if (in.failed() || !in.at_end()) {
    return Corruption(file, sizeof(ManifestHeader) + in.at(), "fields do not fill the payload");
  }
  return Status::OK();
}

void EncodeGenerations(const Manifest& manifest, Encoder* out) {
  out->PutText(manifest.generation);
  out->Put(manifest.loaded_time_us);
  out->Put(manifest.partition_count);
  out->PutText(manifest.rejected);
  out->Put(static_cast<uint8_t>(manifest.previous.has_value() ? 1 : 0));
  if (!manifest.previous.has_value()) return;
  out->PutText(manifest.previous->name);
  out->Put(manifest.previous->loaded_time_us);
  out->Put(manifest.previous->partition_count);
  EncodeSchema(manifest.previous->schema, out);
  EncodeSegments(manifest.previous->segments, out);
}

}  // namespace

std::vector<uint8_t> EncodeManifest(const Manifest& manifest) {
  Encoder out;
  out.PutText(manifest.table_name);
  out.Put(manifest.number);
  out.Put(manifest.commit);
  out.Put(manifest.log_number);
  out.Put(manifest.next_segment);
  out.Put(manifest.next_column_id);
  out.Put(manifest.hash_seed);
  EncodeSchema(manifest.schema, &out);
  EncodeSegments(manifest.segments, &out);
  const uint32_t version = manifest.HasGenerations() ? 2 : 1;
  if (version >= 2) EncodeGenerations(manifest, &out);
  return PutHeader(kKind, version, out.Take());
}

Result<Manifest> DecodeManifest(ByteSpan bytes, const std::string& file) {
  uint32_t version = 0;
  ARROW_ASSIGN_OR_RAISE(const ByteSpan payload, TakeHeader(kKind, bytes, file, &version));
  Manifest manifest;
  ARROW_RETURN_NOT_OK(DecodePayload(payload, version, file, nullptr, &manifest));
  return manifest;
}

Status VisitManifestPayload(ByteSpan payload, uint32_t version, const std::string& file,
                            const FieldVisitor& visit) {
  Manifest manifest;
  return DecodePayload(payload, version, file, &visit, &manifest);
}

}  // namespace fletching::format
