#include "table/read.h"

#include <algorithm>
#include <array>
#include <utility>

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "segment/column_output.h"
#include "table/found_rows.h"

namespace fletching::table {
namespace {

using segment::ColumnOutput;
using segment::KeyBatch;
using segment::RowSelection;

// Projections that a thread made, the last few: of a state that has gone they are never asked for
// again, for no other has its id.
class KeptProjections {
 public:
  using Names = std::optional<std::vector<std::string>>;

  std::shared_ptr<const Projection> Find(uint64_t state_id, const Names& names) const {
    for (const Entry& entry : entries_) {
      if (entry.state_id == state_id && entry.names == names) return entry.projection;
    }
    return nullptr;
  }
  void Keep(uint64_t state_id, const Names& names, std::shared_ptr<const Projection> projection) {
    entries_[next_++ % entries_.size()] = {state_id, names, std::move(projection)};
  }

 private:
  struct Entry {
    uint64_t state_id = 0;
    Names names;
    std::shared_ptr<const Projection> projection;
  };
  std::array<Entry, 4> entries_;
  size_t next_ = 0;
};

KeptProjections& ThreadProjections() {
  thread_local KeptProjections kept;
  return kept;
}

// Columns of an answer while it is made, in memory that a thread keeps: for many columns it is more
// than the allocator has at hand.
class ScratchOutputs {
 public:
  explicit ScratchOutputs(size_t count) { Kept().reserve(count); }
  ~ScratchOutputs() { Kept().clear(); }
  ScratchOutputs(const ScratchOutputs&) = delete;
  ScratchOutputs& operator=(const ScratchOutputs&) = delete;
  std::vector<ColumnOutput>& operator*() { return Kept(); }

 private:
  static std::vector<ColumnOutput>& Kept() {
    thread_local std::vector<ColumnOutput> kept;
    return kept;
  }
};

// The slices of one buffer, made in one allocation: Arrow's own slices are one each.
class SharedSlices {
 public:
  SharedSlices(std::shared_ptr<arrow::Buffer> all, size_t count)
      : all_(std::move(all)), slices_(new std::optional<arrow::MutableBuffer>[count]) {}
  arrow::Buffer* Cut(size_t slice, int64_t offset_bytes, int64_t size_bytes) {
    return &slices_[slice].emplace(all_->mutable_data() + offset_bytes, size_bytes);
  }

 private:
  const std::shared_ptr<arrow::Buffer> all_;
  const std::unique_ptr<std::optional<arrow::MutableBuffer>[]> slices_;
};

// Bytes from one column of an answer to the next.
int64_t ColumnStride(const segment::Physical& physical, int64_t row_count) {
  // Columns a whole number of pages apart would fight for the same sets of the first cache.
  constexpr uint64_t kPageBytes = 4096;
  constexpr uint64_t kSkewBytes = 6 * 64;
  uint64_t stride = RoundUp(static_cast<uint64_t>(row_count) * physical.width, 64);
  if (stride % kPageBytes < kSkewBytes && stride >= kPageBytes) stride += kSkewBytes;
  return static_cast<int64_t>(stride);
}

Result<std::shared_ptr<arrow::Array>> FoundPositions(const FoundRows& found, int64_t key_count) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> positions,
                        arrow::AllocateBuffer(found.count() * 4));
  uint8_t* at = positions->mutable_data();
  for (int64_t i = 0; i < key_count; ++i) {
    if (!found.IsFound(i)) continue;
    StoreAs(at, static_cast<uint32_t>(i));
    at += 4;
  }
  return std::make_shared<arrow::UInt32Array>(found.count(), std::move(positions));
}

// Locate, gather and assemble. What it read is not known to have been the file's yet.
Result<ReadResult> ReadUnchecked(const Version& version, const KeyBatch& keys,
                                 const Projection& projection, bool hits_only, int64_t now_us,
                                 FoundRows* found) {
  ARROW_RETURN_NOT_OK(found->Locate(now_us));
  ReadResult result;
  result.version = version.commit;
  result.found_count = found->count();
  ARROW_ASSIGN_OR_RAISE(result.found, arrow::AllocateBuffer((keys.count + 7) / 8));
  found->WriteBits(result.found->mutable_data());
  if (hits_only) {
    ARROW_ASSIGN_OR_RAISE(result.positions, FoundPositions(*found, keys.count));
  }
  const int64_t row_count = hits_only ? result.found_count : keys.count;

  ARROW_ASSIGN_OR_RAISE(auto buffers, AllocateColumns(projection.columns, row_count));
  ScratchOutputs scratch_outputs(buffers.size());
  std::vector<ColumnOutput>& outputs = *scratch_outputs;
  for (size_t c = 0; c < buffers.size(); ++c) {
    outputs.emplace_back(projection.columns[c]->type, row_count, std::move(buffers[c]),
                         hits_only || found->all_found());
  }
  ARROW_RETURN_NOT_OK(
      found->ForEachSource(hits_only, [&](const Source& source, const RowSelection& rows) {
        return source.Gather(projection.column_ids, rows, outputs.data());
      }));
  const bool has_misses = !hits_only && !found->all_found();
  // As data: a batch makes arrays of those columns that somebody looks at. All in one allocation,
  // which lives as long as any of them, as their values do.
  const auto data = std::make_shared<std::vector<arrow::ArrayData>>(outputs.size());
  std::vector<std::shared_ptr<arrow::ArrayData>> columns;
  columns.reserve(outputs.size());
  for (size_t c = 0; c < outputs.size(); ++c) {
    columns.emplace_back(data, &(*data)[c]);
    ARROW_RETURN_NOT_OK(outputs[c].FinishData(has_misses ? result.found : nullptr,
                                              has_misses ? result.found_count : row_count,
                                              columns.back().get()));
  }
  result.batch = arrow::RecordBatch::Make(projection.schema, row_count, std::move(columns));
  return result;
}

}  // namespace

Result<std::vector<const ColumnSchema*>> FindColumns(
    const TableState& state, const std::optional<std::vector<std::string>>& names) {
  std::vector<const ColumnSchema*> columns;
  if (!names.has_value()) {
    for (const ColumnSchema& column : state.value_columns) columns.push_back(&column);
    return columns;
  }
  columns.reserve(names->size());
  for (const std::string& name : *names) {
    const ColumnSchema* column = state.FindValue(name);
    if (column == nullptr && state.schema.IsKey(name)) {
      return InvalidArgument("column '" + name +
                             "' is a key column; rows answer the keys in order, so ask only for "
                             "value columns");
    }
    if (column == nullptr) {
      return InvalidArgument("column '" + name + "' does not exist in this table");
    }
    columns.push_back(column);
  }
  return columns;
}

Result<std::shared_ptr<const Projection>> Projection::Make(
    const TableState& state, const std::optional<std::vector<std::string>>& names) {
  KeptProjections& kept = ThreadProjections();
  if (auto projection = kept.Find(state.id, names)) return projection;
  ARROW_ASSIGN_OR_RAISE(auto columns, FindColumns(state, names));
  auto projection = std::make_shared<const Projection>(Of(std::move(columns)));
  kept.Keep(state.id, names, projection);
  return projection;
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
  int64_t total = 0;
  for (const ColumnSchema* column : columns) {
    total += ColumnStride(segment::PhysicalOf(*column->type), row_count);
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> all, arrow::AllocateBuffer(total));
  const auto shared = std::make_shared<SharedSlices>(std::move(all), columns.size());
  std::vector<std::shared_ptr<arrow::Buffer>> slices(columns.size());
  int64_t at = 0;
  for (size_t c = 0; c < columns.size(); ++c) {
    const segment::Physical physical = segment::PhysicalOf(*columns[c]->type);
    if (!physical.is_variable) {
      slices[c] = {shared, shared->Cut(c, at, row_count * int64_t{physical.width})};
    }
    at += ColumnStride(physical, row_count);
  }
  return slices;
}

Result<ReadResult> ReadVersion(const Version& version, const KeyBatch& keys,
                               const Projection& projection, bool hits_only, int64_t now_us) {
  FoundRows found(version, keys, projection.column_ids);
  auto result = ReadUnchecked(version, keys, projection, hits_only, now_us, &found);
  ARROW_RETURN_NOT_OK(found.CheckIntact());
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
