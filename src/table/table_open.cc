// Making a table and opening one: manifest, segments, logs, orphans.
#include <algorithm>
#include <set>
#include <utility>

#include "base/metric_names.h"
#include "format/file_names.h"
#include "segment/segment_reader.h"
#include "table/table.h"

namespace fletching::table {
namespace {

// A RowPrefix, at least two bytes of row, and padding.
constexpr uint64_t kLogRowBytesMin = 24;

std::vector<uint64_t> NumbersOf(const std::vector<io::FolderEntry>& files,
                                std::string_view ending) {
  std::vector<uint64_t> numbers;
  for (const io::FolderEntry& file : files) {
    if (const uint64_t number = format::ParseFileNumber(file.name, ending); number != 0) {
      numbers.push_back(number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// What the read path takes for granted: a segment whose checksums fit may still be another table's.
Status CheckFits(const TableState& state, const segment::SegmentReader& reader) {
  const segment::RowLayout& layout = reader.layout();
  const auto refuse = [&](const std::string& what) {
    return Corruption(reader.path(), reader.footer().columns_offset, what);
  };
  if (reader.footer().hash_seed != state.hash_seed) {
    return refuse("segment belongs to another table (hash seed differs)");
  }
  if (layout.key_width != segment::KeyWidth(state.schema)) return refuse("keys of another width");
  if (segment::KeepsCommitTime(state.schema) && layout.time_offset < 0) {
    return refuse("rows lack the time of their commit");
  }
  for (size_t c = 0; c < state.value_columns.size(); ++c) {
    const ColumnSchema& column = state.value_columns[c];
    const segment::LayoutColumn* stored = layout.Find(column.id);
    const bool is_event_time = static_cast<int32_t>(c) == state.event_time_index;
    if (is_event_time && (stored == nullptr || stored->encoding != format::Encoding::kPacked)) {
      return refuse("rows lack their event time");
    }
    if (stored != nullptr && !IsWidening(*stored->type, *column.type)) {
      return refuse("column '" + column.name + "' is stored as " + TypeName(*stored->type) +
                    ", the schema says " + TypeName(*column.type));
    }
  }
  return Status::OK();
}

}  // namespace

Status CheckLogsLeftOut(io::FileSystem* file_system, const std::string& folder,
                        const std::vector<uint64_t>& numbers, const std::vector<LogLink>& chain) {
  for (const uint64_t number : numbers) {
    if (!chain.empty() && number <= chain.back().header.log_number) continue;
    ARROW_ASSIGN_OR_RAISE(const auto file,
                          file_system->Map(folder + "/" + format::LogFileName(number)));
    ARROW_RETURN_NOT_OK(ReadThrough(*file));
  }
  return Status::OK();
}

Table::Table(const TableContext& context, std::string folder, bool is_writer)
    : context_(context), folder_(std::move(folder)), is_writer_(is_writer) {}

std::string Table::SegmentPath(uint64_t number) const {
  return folder_ + "/" + format::SegmentFileName(number);
}

Status Table::Create(const TableContext& context, const std::string& folder,
                     const std::string& name, const TableSchema& schema) {
  ARROW_RETURN_NOT_OK(CheckName("table", name));
  ARROW_RETURN_NOT_OK(CheckSchema(schema));
  ARROW_RETURN_NOT_OK(context.file_system->MakeFolder(folder));
  Table table(context, folder, true);
  format::Manifest manifest;
  manifest.table_name = name;
  manifest.number = 1;
  manifest.log_number = 1;
  manifest.hash_seed = context.random();
  manifest.schema = schema;
  for (ColumnSchema& column : manifest.schema.columns) column.id = manifest.next_column_id++;
  ARROW_RETURN_NOT_OK(table.WriteManifestAside(manifest));
  return table.NameManifest(manifest.number);
}

Result<std::shared_ptr<Table>> Table::Open(const TableContext& context, const std::string& folder,
                                           bool is_writer, const Table* before) {
  std::shared_ptr<Table> table(new Table(context, folder, is_writer));
  ARROW_RETURN_NOT_OK(table->Recover(before));
  table->MakeCounters();
  return table;
}

void Table::MakeCounters() {
  Metrics unseen;
  Metrics* metrics = context_.metrics != nullptr ? context_.metrics : &unseen;
  counters_.hits = metrics->Get(metric::kFetchKeys, {name_, "hit"});
  counters_.misses = metrics->Get(metric::kFetchKeys, {name_, "miss"});
  counters_.rows_written = metrics->Get(metric::kRowsWritten, {name_});
  counters_.compactions = metrics->Get(metric::kCompactions);
  counters_.maintenance_failures = metrics->Get(metric::kMaintenanceFailures, {name_});
}

Status Table::Recover(const Table* before) {
  ARROW_ASSIGN_OR_RAISE(const auto files, context_.file_system->List(folder_));
  ARROW_RETURN_NOT_OK(LoadManifest(files));
  name_ = manifest_.table_name;
  state_ = TableState::Make(manifest_.schema, manifest_.hash_seed, manifest_.next_column_id,
                            GenerationOf(manifest_), manifest_.partition_count);
  last_commit_ = manifest_.commit;
  uint64_t next = manifest_.next_segment;
  for (const uint64_t number : NumbersOf(files, format::kSegmentEnding))
    next = std::max(next, number + 1);
  next_segment_ = next;
  ARROW_ASSIGN_OR_RAISE(sources_, OpenSegments(manifest_.segments, *state_, before));
  PushMemtable(0);
  std::set<std::string> known{format::ManifestFileName(manifest_.number)};
  ARROW_RETURN_NOT_OK(ReplayLogs(files, &known));
  if (is_writer_) ARROW_RETURN_NOT_OK(RemoveOrphans(files, std::move(known)));
  needs_maintenance_ = true;
  PublishVersion(last_commit_);
  return Status::OK();
}

Status Table::LoadManifest(const std::vector<io::FolderEntry>& files) {
  const std::vector<uint64_t> numbers = NumbersOf(files, format::kManifestEnding);
  if (numbers.empty()) return Corruption(folder_, 0, "the folder of a table has no manifest");
  const std::string path = folder_ + "/" + format::ManifestFileName(numbers.back());
  ARROW_ASSIGN_OR_RAISE(const auto file, context_.file_system->Map(path));
  auto decoded = format::DecodeManifest(file->bytes(), path);
  ARROW_RETURN_NOT_OK(file->CheckRead());
  ARROW_ASSIGN_OR_RAISE(manifest_, std::move(decoded));
  if (manifest_.number != numbers.back()) {
    return Corruption(path, 0, "manifest carries another number than its name");
  }
  return Status::OK();
}

Result<Source> Table::OpenSegment(uint64_t number, const TableState& state) const {
  const std::string path = SegmentPath(number);
  ARROW_ASSIGN_OR_RAISE(auto file, context_.segment_opener != nullptr
                                       ? context_.segment_opener->OpenSegment(path)
                                       : context_.file_system->Map(path));
  ARROW_ASSIGN_OR_RAISE(auto reader,
                        segment::SegmentReader::Open(std::move(file), context_.memory_budget));
  ARROW_RETURN_NOT_OK(CheckFits(state, *reader));
  Source source;
  source.segment = std::move(reader);
  source.number = number;
  return source;
}

// A segment that was open before stays open, and what was verified of it stays so; unless the file
// of that number is another one by now, as after a backup was put back.
Result<Source> Table::TakeOver(const Table& before, uint64_t number,
                               const TableState& state) const {
  ARROW_ASSIGN_OR_RAISE(Source source, OpenSegment(number, state));
  const auto version = before.PinVersion();
  for (const Source& known : version->sources) {
    if (known.segment == nullptr || known.number != number) continue;
    if (!known.segment->CheckIntact().ok() || !known.segment->IsSame(source.segment->bytes()))
      break;
    source.segment = known.segment;
    return source;
  }
  source.segment->WarmUp();
  return source;
}

Result<std::vector<Source>> Table::OpenSegments(
    const std::vector<format::ManifestSegment>& segments, const TableState& state,
    const Table* before) const {
  std::vector<Source> newest_first;
  for (const format::ManifestSegment& entry : segments) {
    auto source = before == nullptr ? OpenSegment(entry.number, state)
                                    : TakeOver(*before, entry.number, state);
    if (!source.ok() && CodeOf(source.status()) == ErrorCode::kNotFound) {
      return Corruption(SegmentPath(entry.number), 0, "a segment the manifest names is missing");
    }
    ARROW_RETURN_NOT_OK(source.status());
    if (source->segment->file_bytes() != entry.file_bytes) {
      return Corruption(SegmentPath(entry.number), source->segment->file_bytes(),
                        "segment is not as long as the manifest says");
    }
    source->commit = manifest_.commit;
    source->newest_time_us = entry.newest_time_us;
    newest_first.insert(newest_first.begin(), *std::move(source));
  }
  return newest_first;
}

Status Table::ReplayLogs(const std::vector<io::FolderEntry>& files, std::set<std::string>* known) {
  const std::vector<uint64_t> numbers = NumbersOf(files, format::kLogEnding);
  last_log_number_ = std::max(numbers.empty() ? 0 : numbers.back(), manifest_.log_number - 1);
  ARROW_ASSIGN_OR_RAISE(const std::vector<LogLink> chain,
                        ReadLogChain(context_.file_system, folder_, numbers, manifest_.log_number));
  ARROW_RETURN_NOT_OK(CheckLogsLeftOut(context_.file_system, folder_, numbers, chain));
  for (const LogLink& link : chain) {
    const std::string& path = link.file->path();
    known->insert(format::LogFileName(link.header.log_number));
    const auto image = ReadLog(link.file->bytes(), path, link.must_be_valid_bytes, Replayer(path));
    // Zeros look like the torn end of a crash, and what is left out now would be gone for good.
    ARROW_RETURN_NOT_OK(link.file->CheckRead());
    ARROW_RETURN_NOT_OK(image.status());
    prior_log_number_ = image->header.log_number;
    prior_log_bytes_ = image->valid_bytes;
    tail_ = link.file;
    tail_end_ = image->end;
  }
  return Status::OK();
}

RecordVisitor Table::Replayer(const std::string& path) {
  return [this, path](const format::RecordHeader& header, ByteSpan payload, uint64_t offset) {
    return ReplayRecord(header, payload, path, offset);
  };
}

Status Table::ReplayRecord(const format::RecordHeader& header, ByteSpan payload,
                           const std::string& path, uint64_t offset) {
  if (header.commit <= last_commit_) {
    return Corruption(path, offset, "commit numbers of a log go backwards");
  }
  last_commit_ = header.commit;
  if (header.kind == static_cast<uint32_t>(format::RecordKind::kRows)) {
    // Not the header's count, which may lie: a full hash table would be searched without end.
    const uint64_t row_count_max = payload.size() / kLogRowBytesMin;
    if (!sources_[0].memtable->Fits(payload.size(), row_count_max)) {
      --last_commit_;
      PushMemtable(payload.size() + 64 * row_count_max);
      ++last_commit_;
    }
    return sources_[0].memtable->Insert(payload, header.commit, path);
  }
  if (header.kind != static_cast<uint32_t>(format::RecordKind::kSegments)) {
    return Corruption(path, offset, "unknown kind of record");
  }
  PushMemtable(0);
  for (size_t at = 0; at + 8 <= payload.size(); at += 8) {
    const auto number = LoadAs<uint64_t>(payload.data() + at);
    ARROW_ASSIGN_OR_RAISE(Source source, OpenSegment(number, *state_));
    source.commit = header.commit;
    source.newest_time_us = header.commit_time_us;
    next_segment_ = std::max(next_segment_.load(), number + 1);
    sources_.insert(sources_.begin() + 1, std::move(source));
  }
  return Status::OK();
}

Status Table::RemoveOrphans(const std::vector<io::FolderEntry>& files,
                            std::set<std::string> known) {
  for (const Source& source : sources_) {
    if (source.segment != nullptr) known.insert(format::SegmentFileName(source.number));
  }
  if (manifest_.previous.has_value()) {
    for (const format::ManifestSegment& segment : manifest_.previous->segments) {
      known.insert(format::SegmentFileName(segment.number));
    }
  }
  for (const io::FolderEntry& file : files) {
    const bool is_ours = file.name.ends_with(format::kSegmentEnding) ||
                         file.name.ends_with(format::kManifestEnding) ||
                         file.name.ends_with(format::kLogEnding) || file.name.ends_with(".tmp");
    if (!is_ours || file.is_folder || known.contains(file.name)) continue;
    ARROW_RETURN_NOT_OK(context_.file_system->Remove(folder_ + "/" + file.name));
  }
  return Status::OK();
}

}  // namespace fletching::table
