// All rows of a table at once: replacing them, and taking that back.
#include <algorithm>
#include <set>
#include <utility>

#include <arrow/array.h>
#include <arrow/array/builder_primitive.h>
#include <arrow/compute/api_vector.h>
#include <arrow/record_batch.h>

#include "table/segment_batch_writer.h"
#include "table/table.h"

namespace fletching::table {
namespace {

constexpr int32_t kSegmentCountMax = 256;

// The schema of the next generation. A column that stays as it is keeps its id.
std::shared_ptr<const TableState> NextState(const TableState& before,
                                            const ReplaceRequest& request) {
  TableSchema schema = request.schema;
  uint32_t next_column_id = before.next_column_id;
  for (ColumnSchema& column : schema.columns) {
    const ColumnSchema* old = before.schema.Find(column.name);
    column.id = old != nullptr && old->type->Equals(*column.type) ? old->id : next_column_id++;
  }
  return TableState::Make(std::move(schema), before.hash_seed, next_column_id);
}

Status CheckRequest(const ReplaceRequest& request) {
  ARROW_RETURN_NOT_OK(CheckSchema(request.schema));
  if (request.generation.empty()) return InvalidArgument("a generation needs a name");
  if (request.segment_count < 1 || request.segment_count > kSegmentCountMax) {
    return InvalidArgument("segment_count is " + std::to_string(request.segment_count) +
                           "; it must be from 1 to " + std::to_string(kSegmentCountMax));
  }
  if (!(request.min_rows_ratio >= 0 && request.min_rows_ratio <= 1)) {
    return InvalidArgument("min_rows_ratio must be from 0 to 1");
  }
  return Status::OK();
}

uint64_t LiveRows(const std::vector<Source>& sources) {
  uint64_t count = 0;
  for (const Source& source : sources) {
    if (source.segment != nullptr) count += source.row_count();
  }
  return count;
}

// None: a table that was only just made.
std::optional<format::ManifestGeneration> WhatThereIs(const format::Manifest& manifest) {
  if (manifest.segments.empty() && manifest.generation.empty()) return std::nullopt;
  return format::ManifestGeneration{manifest.generation, manifest.loaded_time_us,
                                    manifest.partition_count, manifest.schema, manifest.segments};
}

std::set<uint64_t> SegmentsOf(const format::Manifest& manifest) {
  std::set<uint64_t> numbers;
  for (const auto& segment : manifest.segments) numbers.insert(segment.number);
  if (!manifest.previous.has_value()) return numbers;
  for (const auto& segment : manifest.previous->segments) numbers.insert(segment.number);
  return numbers;
}

}  // namespace

std::optional<GenerationInfo> GenerationOf(const format::Manifest& manifest) {
  if (!manifest.HasGenerations()) return std::nullopt;
  GenerationInfo info;
  info.name = manifest.generation;
  info.loaded_time_us = manifest.loaded_time_us;
  info.has_previous = manifest.previous.has_value();
  if (info.has_previous) info.previous = manifest.previous->name;
  info.rejected = manifest.rejected;
  return info;
}

// Spreads rows over segments by the hash of their keys. The order of a key's rows is kept, so the
// last one wins in its segment.
class Table::GenerationWriter {
 public:
  GenerationWriter(Table* table, std::shared_ptr<const TableState> state,
                   const ReplaceRequest& request, int64_t now_us)
      : table_(table), state_(std::move(state)), request_(request), now_us_(now_us) {
    for (int32_t i = 0; i < request.segment_count; ++i) {
      segments_.push_back(std::make_unique<SegmentBatchWriter>(table, state_));
    }
  }

  Status Append(const std::shared_ptr<arrow::RecordBatch>& batch) {
    for (int64_t first = 0; first < batch->num_rows(); first += kSliceRows) {
      const auto slice = batch->Slice(first, kSliceRows);
      ARROW_RETURN_NOT_OK(segments_.size() == 1 ? AppendTo(0, *slice) : Spread(slice));
      row_count_ += slice->num_rows();
      if (request_.on_progress) ARROW_RETURN_NOT_OK(request_.on_progress(row_count_));
    }
    return Status::OK();
  }

  // The durable segments, newest first. Their files go with this, unless Keep is called.
  Result<std::vector<Source>> Finish() {
    std::vector<Source> sources;
    for (const auto& part : segments_) {
      ARROW_ASSIGN_OR_RAISE(const std::vector<Source> oldest_first, part->Take());
      sources.insert(sources.begin(), oldest_first.rbegin(), oldest_first.rend());
    }
    return sources;
  }
  void Keep() {
    for (const auto& part : segments_) part->Keep();
  }
  int64_t row_count() const { return row_count_; }

 private:
  Status AppendTo(size_t part, const arrow::RecordBatch& rows) {
    ARROW_ASSIGN_OR_RAISE(PreparedBatch prepared,
                          PrepareBatch(*state_, *table_->context_.caster, rows, WriteMode::kReplace,
                                       request_.ignore_extra_columns, now_us_));
    std::vector<PreparedBatch> batches;
    batches.push_back(std::move(prepared));
    return segments_[part]->Append(std::move(batches));
  }

  Status Spread(const std::shared_ptr<arrow::RecordBatch>& rows) {
    // Take believes every offset; what PrepareBatch checks later is a copy.
    for (const auto& column : rows->columns()) {
      ARROW_RETURN_NOT_OK(table_->context_.caster->Validate(*column));
    }
    ARROW_ASSIGN_OR_RAISE(const std::vector<uint64_t> hashes, HashesOf(*rows));
    std::vector<arrow::Int32Builder> places(segments_.size());
    for (int64_t row = 0; row < rows->num_rows(); ++row) {
      const uint32_t part = segment::PartitionOf(hashes[static_cast<size_t>(row)],
                                                 static_cast<uint32_t>(segments_.size()));
      ARROW_RETURN_NOT_OK(places[part].Append(static_cast<int32_t>(row)));
    }
    for (size_t part = 0; part < segments_.size(); ++part) {
      if (places[part].length() == 0) continue;
      ARROW_ASSIGN_OR_RAISE(const auto indices, places[part].Finish());
      arrow::ArrayVector columns;
      for (const auto& column : rows->columns()) {
        ARROW_ASSIGN_OR_RAISE(auto taken, arrow::compute::Take(*column, *indices));
        columns.push_back(std::move(taken));
      }
      const auto batch =
          arrow::RecordBatch::Make(rows->schema(), indices->length(), std::move(columns));
      ARROW_RETURN_NOT_OK(AppendTo(part, *batch));
    }
    return Status::OK();
  }

  Result<std::vector<uint64_t>> HashesOf(const arrow::RecordBatch& rows) const {
    KeyArrays keys;
    for (const std::string& name : state_->schema.key) {
      auto column = rows.GetColumnByName(name);
      if (column == nullptr) return SchemaMismatch("key column '" + name + "' is missing");
      keys.push_back(std::move(column));
    }
    ARROW_ASSIGN_OR_RAISE(const segment::KeyBatch batch,
                          PrepareKeys(*state_, *table_->context_.caster, keys));
    std::vector<uint64_t> hashes(static_cast<size_t>(batch.count));
    segment::HashKeys(batch, 0, hashes.data());
    return hashes;
  }

  Table* const table_;
  const std::shared_ptr<const TableState> state_;
  const ReplaceRequest& request_;
  const int64_t now_us_;
  std::vector<std::unique_ptr<SegmentBatchWriter>> segments_;
  int64_t row_count_ = 0;
};

Result<WriteResult> Table::Replace(const ReplaceRequest& request,
                                   arrow::RecordBatchReader* source) {
  ARROW_RETURN_NOT_OK(CheckIsWriter());
  ARROW_RETURN_NOT_OK(CheckRequest(request));
  const auto before = PinVersion()->state;
  const auto state = NextState(*before, request);
  const int64_t now_us = Now();
  GenerationWriter writer(this, state, request, now_us);
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const auto batch, source->Next());
    if (batch == nullptr) break;
    ARROW_RETURN_NOT_OK(writer.Append(batch));
  }
  ARROW_ASSIGN_OR_RAISE(std::vector<Source> sources, writer.Finish());

  const std::lock_guard maintenance(maintenance_mutex_);
  std::unique_lock commit_lock(commit_mutex_);
  // What was written is kept whole as well, and nothing may be written any more behind it.
  ARROW_RETURN_NOT_OK(FlushWhile(&commit_lock, true, nullptr));
  if (state_ != before) {
    return Unavailable("table '" + name_ + "' was changed while it was loaded; load it again");
  }
  const uint64_t old_rows = LiveRows(sources_);
  const uint64_t new_rows = LiveRows(sources);
  if (static_cast<double>(new_rows) < request.min_rows_ratio * static_cast<double>(old_rows)) {
    return InvalidArgument("generation " + request.generation + " has " + std::to_string(new_rows) +
                           " rows, where the table has " + std::to_string(old_rows) +
                           "; less than min_rows_ratio allows");
  }
  format::Manifest next = ManifestFor(sources);
  next.previous = WhatThereIs(manifest_);
  next.generation = request.generation;
  next.loaded_time_us = now_us;
  next.partition_count = static_cast<uint32_t>(request.segment_count);
  next.rejected.clear();
  std::vector<uint64_t> fresh_segments;
  for (const Source& segment : sources) fresh_segments.push_back(segment.number);
  writer.Keep();
  ARROW_RETURN_NOT_OK(SwitchTo(state, std::move(sources), std::move(next), fresh_segments));
  return WriteResult{writer.row_count(), last_commit_};
}

Status Table::RollBack() {
  ARROW_RETURN_NOT_OK(CheckIsWriter());
  const std::lock_guard maintenance(maintenance_mutex_);
  std::unique_lock commit_lock(commit_mutex_);
  if (!manifest_.previous.has_value()) {
    return MakeError(ErrorCode::kNotFound, "table '" + name_ + "' keeps no earlier generation");
  }
  ARROW_RETURN_NOT_OK(FlushWhile(&commit_lock, true, nullptr));
  const format::ManifestGeneration back = *manifest_.previous;
  const auto state = TableState::Make(back.schema, state_->hash_seed, state_->next_column_id);
  ARROW_ASSIGN_OR_RAISE(std::vector<Source> sources, OpenSegments(back.segments, *state, nullptr));
  for (const Source& source : sources) source.segment->WarmUp();
  format::Manifest next = ManifestFor(sources);
  next.previous = WhatThereIs(manifest_);
  next.generation = back.name;
  next.loaded_time_us = back.loaded_time_us;
  next.partition_count = back.partition_count;
  next.rejected = manifest_.generation;
  return SwitchTo(state, std::move(sources), std::move(next), {});
}

// Makes `next` and what it names the table. Held: maintenance_mutex_ and commit_mutex_; everything
// written before is in the segments of the old manifest. fresh_segments: as for ReplaceManifest.
Status Table::SwitchTo(const std::shared_ptr<const TableState>& state,
                       std::vector<Source> newest_first, format::Manifest next,
                       const std::vector<uint64_t>& fresh_segments) {
  // A log whose sync failed may end in a record of a commit that never was.
  if (const Status rotated = RotateLog(); !rotated.ok()) {
    RemoveSegments(fresh_segments);
    return rotated;
  }
  next.log_number = log_->number();
  next.schema = state->schema;
  next.next_column_id = state->next_column_id;
  next.commit = last_commit_ + 1;
  const std::set<uint64_t> before = SegmentsOf(manifest_);
  Pinned<Version> old = PinVersion();
  ARROW_RETURN_NOT_OK(ReplaceManifest(std::move(next), fresh_segments));

  last_commit_ = manifest_.commit;
  for (Source& source : newest_first) source.commit = last_commit_;
  sources_ = std::move(newest_first);
  state_ = TableState::Make(manifest_.schema, manifest_.hash_seed, manifest_.next_column_id,
                            GenerationOf(manifest_), manifest_.partition_count);
  PushMemtable(0);
  PublishVersion(last_commit_);

  const std::set<uint64_t> after = SegmentsOf(manifest_);
  for (const uint64_t number : before) {
    if (!after.contains(number)) RemoveFile(SegmentPath(number));
  }
  old.LetGoLast();
  return Status::OK();
}

}  // namespace fletching::table
