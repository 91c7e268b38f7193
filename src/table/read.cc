#include "table/read.h"

#include <algorithm>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "segment/column_output.h"
#include "table/locator.h"

namespace fletching::table {
namespace {

using segment::ColumnOutput;
using segment::KeyBatch;
using segment::RowSelection;

LocateScratch& ThreadScratch() {
  thread_local LocateScratch scratch;
  return scratch;
}

// Rows of the answer grouped by where they come from.
struct SourceRows {
  const Source* source = nullptr;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  std::vector<uint32_t> positions;

  RowSelection Selection() const {
    return {bodies.data(), rows.data(), positions.data(), static_cast<int64_t>(bodies.size())};
  }
};

// Drops dead rows; returns how many keys are left. A null body from here on means: not found.
int64_t FilterDead(const Version& version, int64_t now_us, LocateScratch* s) {
  std::vector<RowFilter> filters;
  filters.reserve(version.sources.size());
  for (const Source& source : version.sources) filters.emplace_back(*version.state, source, now_us);
  int64_t found = 0;
  for (size_t i = 0; i < s->bodies.size(); ++i) {
    if (s->bodies[i] == nullptr) continue;
    if (filters[s->sources[i]].IsLive(s->bodies[i])) {
      ++found;
    } else {
      s->bodies[i] = nullptr;
    }
  }
  return found;
}

std::vector<SourceRows> GroupBySource(const Version& version, const LocateScratch& s,
                                      bool hits_only) {
  std::vector<SourceRows> groups(version.sources.size());
  uint32_t position = 0;
  for (size_t i = 0; i < s.bodies.size(); ++i) {
    if (s.bodies[i] == nullptr) {
      position += hits_only ? 0 : 1;
      continue;
    }
    SourceRows& group = groups[s.sources[i]];
    group.bodies.push_back(s.bodies[i]);
    group.rows.push_back(s.rows[i]);
    group.positions.push_back(position++);
  }
  for (size_t i = 0; i < groups.size(); ++i) groups[i].source = &version.sources[i];
  std::erase_if(groups, [](const SourceRows& group) { return group.bodies.empty(); });
  return groups;
}

Result<std::shared_ptr<arrow::Buffer>> FoundBits(const LocateScratch& s, int64_t found_count) {
  const auto count = static_cast<int64_t>(s.bodies.size());
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits,
                        arrow::AllocateBuffer((count + 7) / 8));
  if (found_count == count) {
    std::memset(bits->mutable_data(), 0xff, static_cast<size_t>(bits->size()));
    return bits;
  }
  std::memset(bits->mutable_data(), 0, static_cast<size_t>(bits->size()));
  for (int64_t i = 0; i < count; ++i) {
    if (s.bodies[static_cast<size_t>(i)] != nullptr) SetBit(bits->mutable_data(), i);
  }
  return bits;
}

Result<std::shared_ptr<arrow::Array>> FoundPositions(const LocateScratch& s, int64_t found_count) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> positions,
                        arrow::AllocateBuffer(found_count * 4));
  uint8_t* at = positions->mutable_data();
  for (size_t i = 0; i < s.bodies.size(); ++i) {
    if (s.bodies[i] == nullptr) continue;
    StoreAs(at, static_cast<uint32_t>(i));
    at += 4;
  }
  return std::make_shared<arrow::UInt32Array>(found_count, std::move(positions));
}

// Locate, gather and assemble. What it read is not known to have been the file's yet.
Result<ReadResult> ReadUnchecked(const Version& version, const KeyBatch& keys,
                                 const Projection& projection, bool hits_only, int64_t now_us,
                                 Locator* located, LocateScratch* scratch) {
  LocateScratch& s = *scratch;
  Locator& locator = *located;
  ARROW_RETURN_NOT_OK(locator.Run());
  ReadResult result;
  result.version = version.commit;
  result.found_count = locator.found_count();
  if (result.found_count > 0 && (!locator.is_one_source() || version.state->ttl_us > 0 ||
                                 version.sources[locator.first_source()].MayHoldTombstones())) {
    if (locator.is_one_source()) {
      s.sources.assign(s.bodies.size(), static_cast<uint16_t>(locator.first_source()));
    }
    result.found_count = FilterDead(version, now_us, &s);
  }
  const bool all_found = result.found_count == keys.count;
  ARROW_ASSIGN_OR_RAISE(result.found, FoundBits(s, result.found_count));
  if (hits_only) {
    ARROW_ASSIGN_OR_RAISE(result.positions, FoundPositions(s, result.found_count));
  }
  const int64_t row_count = hits_only ? result.found_count : keys.count;

  ARROW_ASSIGN_OR_RAISE(const auto buffers, AllocateColumns(projection.columns, row_count));
  std::vector<ColumnOutput> outputs;
  outputs.reserve(buffers.size());
  for (size_t c = 0; c < buffers.size(); ++c) {
    outputs.emplace_back(projection.columns[c]->type, row_count, buffers[c],
                         hits_only || all_found);
  }
  if (all_found && locator.is_one_source() && keys.count > 0) {
    // The common case needs no grouping.
    const RowSelection direct{s.bodies.data(), s.rows.data(), nullptr, keys.count};
    ARROW_RETURN_NOT_OK(version.sources[locator.first_source()].Gather(projection.column_ids,
                                                                       direct, outputs.data()));
  } else if (result.found_count > 0) {
    if (locator.is_one_source()) {
      s.sources.assign(s.bodies.size(), static_cast<uint16_t>(locator.first_source()));
    }
    for (const SourceRows& group : GroupBySource(version, s, hits_only)) {
      ARROW_RETURN_NOT_OK(
          group.source->Gather(projection.column_ids, group.Selection(), outputs.data()));
    }
  }
  const bool has_misses = !hits_only && !all_found;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  arrays.reserve(outputs.size());
  for (ColumnOutput& output : outputs) {
    ARROW_ASSIGN_OR_RAISE(auto array, output.Finish(has_misses ? result.found : nullptr,
                                                    has_misses ? result.found_count : row_count));
    arrays.push_back(std::move(array));
  }
  result.batch = arrow::RecordBatch::Make(projection.schema, row_count, std::move(arrays));
  s.Shrink();
  return result;
}

}  // namespace

Result<Projection> Projection::Make(const TableState& state,
                                    const std::optional<std::vector<std::string>>& names) {
  std::vector<const ColumnSchema*> columns;
  if (!names.has_value()) {
    for (const ColumnSchema& column : state.value_columns) columns.push_back(&column);
  } else {
    for (const std::string& name : *names) {
      const ColumnSchema* column = state.FindValue(name);
      if (column != nullptr) {
        columns.push_back(column);
        continue;
      }
      if (state.schema.IsKey(name)) {
        return InvalidArgument("column '" + name +
                               "' is a key column; rows answer the keys in order, so ask only for "
                               "value columns");
      }
      return InvalidArgument("column '" + name + "' does not exist in this table");
    }
  }
  return Of(std::move(columns));
}

Projection Projection::Of(std::vector<const ColumnSchema*> columns) {
  Projection projection;
  std::vector<std::shared_ptr<arrow::Field>> fields;
  fields.reserve(columns.size());
  for (const ColumnSchema* column : columns) {
    projection.column_ids.push_back(column->id);
    fields.push_back(arrow::field(column->name, column->type));
  }
  projection.columns = std::move(columns);
  projection.schema = arrow::schema(std::move(fields));
  return projection;
}

Result<std::vector<std::shared_ptr<arrow::Buffer>>> AllocateColumns(
    const std::vector<const ColumnSchema*>& columns, int64_t row_count) {
  // Columns a whole number of pages apart would fight for the same sets of the first cache.
  constexpr uint64_t kPageBytes = 4096;
  constexpr uint64_t kSkewBytes = 6 * 64;
  std::vector<int64_t> widths;
  std::vector<int64_t> strides;
  int64_t total = 0;
  for (const ColumnSchema* column : columns) {
    const segment::Physical physical = segment::PhysicalOf(*column->type);
    widths.push_back(physical.is_variable ? -1 : int64_t{physical.width});
    uint64_t stride = RoundUp(static_cast<uint64_t>(row_count) * physical.width, 64);
    if (stride % kPageBytes < kSkewBytes && stride >= kPageBytes) stride += kSkewBytes;
    strides.push_back(static_cast<int64_t>(stride));
    total += strides.back();
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> all, arrow::AllocateBuffer(total));
  std::vector<std::shared_ptr<arrow::Buffer>> slices;
  int64_t at = 0;
  for (size_t c = 0; c < columns.size(); ++c) {
    slices.push_back(widths[c] < 0 ? nullptr
                                   : arrow::SliceMutableBuffer(all, at, row_count * widths[c]));
    at += strides[c];
  }
  return slices;
}

Result<ReadResult> ReadVersion(const Version& version, const KeyBatch& keys,
                               const Projection& projection, bool hits_only, int64_t now_us) {
  LocateScratch& scratch = ThreadScratch();
  Locator locator(version, keys, projection, &scratch);
  auto result = ReadUnchecked(version, keys, projection, hits_only, now_us, &locator, &scratch);
  // Whatever came of it: what cannot be read looks like an absent key, like zeros or like damage.
  ARROW_RETURN_NOT_OK(CheckIntact(locator.searched()));
  return result;
}

Result<std::vector<std::shared_ptr<arrow::Array>>> ReadColumns(
    const Version& version, const KeyBatch& keys, const std::vector<const ColumnSchema*>& columns,
    int64_t now_us) {
  ARROW_ASSIGN_OR_RAISE(const ReadResult result,
                        ReadVersion(version, keys, Projection::Of(columns), false, now_us));
  return result.batch->columns();
}

Result<std::vector<std::shared_ptr<arrow::Array>>> GatherRows(
    const Source& source, const std::vector<const ColumnSchema*>& columns, int32_t event_time_index,
    const RowSelection& rows) {
  ARROW_ASSIGN_OR_RAISE(const auto buffers, AllocateColumns(columns, rows.count));
  std::vector<ColumnOutput> outputs;
  std::vector<uint32_t> column_ids;
  outputs.reserve(columns.size());
  for (size_t c = 0; c < columns.size(); ++c) {
    outputs.emplace_back(columns[c]->type, rows.count, buffers[c], true);
    column_ids.push_back(columns[c]->id);
  }
  ARROW_RETURN_NOT_OK(source.Gather(column_ids, rows, outputs.data()));
  for (int64_t i = 0; i < rows.count; ++i) {
    if ((rows.bodies[i][0] & segment::kTombstoneBit) == 0) continue;
    for (size_t c = 0; c < columns.size(); ++c) {
      if (static_cast<int32_t>(c) != event_time_index) outputs[c].SetNull(rows.At(i));
    }
  }
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (ColumnOutput& output : outputs) {
    ARROW_ASSIGN_OR_RAISE(auto array, output.Finish(nullptr, rows.count));
    arrays.push_back(std::move(array));
  }
  return arrays;
}

}  // namespace fletching::table
