#include "table/merge_write.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <arrow/type.h>

#include "segment/physical.h"
#include "segment/segment_writer.h"
#include "table/merge_scan.h"
#include "table/prepare.h"
#include "table/read.h"

namespace fletching::table {
namespace {

// Rows that pass through memory at a time.
constexpr int64_t kMergeRows = 16 * 1024;

// All segments store this column as the same constant.
bool IsSameConstant(std::span<const Source> run, const ColumnSchema& column) {
  std::optional<ByteSpan> first;
  for (const Source& source : run) {
    const segment::LayoutColumn* stored = source.layout().Find(column.id);
    if (stored == nullptr || !stored->type->Equals(*column.type)) return false;
    const std::optional<ByteSpan> value = source.segment->ConstantValue(column.id);
    if (!value.has_value() || source.segment->footer().tombstone_count > 0) return false;
    if (!first.has_value()) first = value;
    if (!std::equal(value->begin(), value->end(), first->begin(), first->end())) return false;
  }
  return true;
}

std::vector<ColumnFacts> FactsOf(const TableState& state, std::span<const Source> run) {
  std::vector<ColumnFacts> facts(state.value_columns.size());
  // Rows in memory are not counted by column: their columns are packed, and the next compaction
  // knows better.
  const bool is_counted = std::all_of(
      run.begin(), run.end(), [](const Source& source) { return source.segment != nullptr; });
  for (size_t c = 0; c < facts.size(); ++c) {
    const ColumnSchema& column = state.value_columns[c];
    facts[c].type = column.type;
    facts[c].is_complete = is_counted;
    for (const Source& source : run) {
      if (source.segment == nullptr) continue;
      const auto& footer = source.segment->footer();
      facts[c].row_count += footer.row_count - footer.tombstone_count;
      facts[c].value_count += source.segment->ValueCount(column.id);
    }
    facts[c].is_constant = is_counted && IsSameConstant(run, column);
  }
  return facts;
}

uint64_t AverageVaryingBytes(std::span<const Source> run) {
  uint64_t bytes = 0;
  uint64_t rows = 0;
  for (const Source& source : run) {
    rows += source.row_count();
    bytes += source.segment != nullptr ? source.segment->VaryingBytes()
                                       : source.memtable->VaryingBytes();
  }
  return rows == 0 ? 0 : bytes / rows;
}

// The rows of a chunk as a batch to seal: what they were, tombstones and commit times included.
Result<PreparedBatch> BatchOf(const TableState& state, const MergeChunk& chunk, bool keeps_time) {
  std::vector<const ColumnSchema*> columns;
  for (const ColumnSchema& column : state.value_columns) columns.push_back(&column);
  ARROW_ASSIGN_OR_RAISE(const auto arrays, GatherRows(*chunk.source, columns,
                                                      state.event_time_index, chunk.Selection()));
  PreparedBatch batch;
  batch.row_count = static_cast<int64_t>(chunk.keys.size());
  batch.keys = JoinKeys(chunk.keys, segment::KeyWidth(state.schema));
  for (const auto& array : arrays) {
    ARROW_ASSIGN_OR_RAISE(auto column, segment::MakePhysical(array));
    batch.columns.push_back(std::move(column));
  }
  const int32_t time_offset = chunk.source->layout().time_offset;
  for (const uint8_t* body : chunk.bodies) {
    batch.tombstones.push_back(body[0] & segment::kTombstoneBit);
    if (!keeps_time) continue;
    batch.times_us.push_back(time_offset < 0 ? 0 : LoadAs<int64_t>(body + time_offset));
  }
  return batch;
}

Status AppendMerged(const TableState& state, std::span<const Source> run, bool keep_tombstones,
                    int64_t now_us, const segment::RowLayout& layout,
                    segment::SegmentWriter* writer) {
  MergeScan scan(state, run, UINT64_MAX, now_us, keep_tombstones);
  MergeChunk chunk;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const bool has_more, scan.Next(kMergeRows, &chunk));
    if (!has_more) return Status::OK();
    ARROW_ASSIGN_OR_RAISE(const PreparedBatch batch,
                          BatchOf(state, chunk, layout.time_offset >= 0));
    ARROW_RETURN_NOT_OK(writer->Append(RowsForLayout(state, batch, layout)));
  }
}

}  // namespace

Result<uint64_t> WriteMerged(const TableState& state, std::span<const Source> run,
                             bool keep_tombstones, int64_t now_us, io::FileSystem* file_system,
                             const std::string& path, const SealOptions& options) {
  segment::SegmentSpec spec =
      PlanSegment(state, FactsOf(state, run), AverageVaryingBytes(run), options);
  const segment::RowLayout layout = spec.layout;
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        segment::SegmentWriter::Create(file_system, path, std::move(spec)));
  const Status appended = AppendMerged(state, run, keep_tombstones, now_us, layout, writer.get());
  // Before it becomes a segment, which would outlive the files it was made of.
  ARROW_RETURN_NOT_OK(CheckIntact(run));
  ARROW_RETURN_NOT_OK(appended);
  if (writer->row_count() == 0) return 0;
  ARROW_RETURN_NOT_OK(writer->Finish().status());
  return writer->row_count();
}

}  // namespace fletching::table
