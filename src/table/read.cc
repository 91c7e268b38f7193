#include "table/read.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <utility>

#include "segment/column_output.h"

namespace fletching::table {
namespace {

using segment::ColumnOutput;
using segment::KeyBatch;
using segment::KeySelection;
using segment::RowSelection;

// Working memory of a read, kept by each thread so that a read of 1,000 keys allocates nothing but
// its answer. Larger requests give theirs back.
struct Scratch {
  std::vector<uint64_t> hashes;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  std::vector<uint16_t> sources;  // index of the source a key's row was found in
  // Of the source being searched:
  std::vector<uint32_t> pending;
  std::vector<const uint8_t*> found_bodies;
  std::vector<uint32_t> found_rows;

  static constexpr size_t kKeptKeys = 64 * 1024;
  void Resize(size_t count) {
    hashes.resize(count);
    bodies.resize(count);
    rows.resize(count);
  }
  void Shrink() {
    if (hashes.size() > kKeptKeys) *this = Scratch();
  }
};

Scratch& ThreadScratch() {
  thread_local Scratch scratch;
  return scratch;
}

// Fills bodies, rows and sources of every key: the winning row, live or not.
class Locator {
 public:
  Locator(const Version& version, const KeyBatch& keys, Scratch* scratch)
      : version_(version), keys_(keys), s_(*scratch) {}

  Status Run() {
    const auto count = static_cast<size_t>(keys_.count);
    s_.Resize(count);
    s_.sources.clear();
    segment::HashKeys(keys_, version_.state->hash_seed, s_.hashes.data());
    const std::vector<Source>& sources = version_.sources;
    size_t first = 0;
    while (first < sources.size() && sources[first].row_count() == 0) ++first;
    if (first == sources.size()) {
      std::fill(s_.bodies.begin(), s_.bodies.end(), nullptr);
      return Status::OK();
    }
    KeySelection all{&keys_, s_.hashes.data(), {}, true};
    ARROW_RETURN_NOT_OK(
        sources[first].Find(all, version_.commit, s_.bodies.data(), s_.rows.data()));
    s_.sources.assign(count, static_cast<uint16_t>(first));
    const bool by_event_time = version_.state->event_time_index >= 0;
    for (size_t i = first + 1; i < sources.size(); ++i) {
      if (sources[i].row_count() == 0) continue;
      ARROW_RETURN_NOT_OK(by_event_time ? SearchNewer(i) : SearchRest(i));
    }
    return Status::OK();
  }

 private:
  // Only keys that no newer source had.
  Status SearchRest(size_t source) {
    s_.pending.clear();
    for (size_t i = 0; i < s_.bodies.size(); ++i) {
      if (s_.bodies[i] == nullptr) s_.pending.push_back(static_cast<uint32_t>(i));
    }
    if (s_.pending.empty()) return Status::OK();
    s_.found_bodies.resize(s_.pending.size());
    s_.found_rows.resize(s_.pending.size());
    const KeySelection rest{&keys_, s_.hashes.data(), s_.pending, false};
    ARROW_RETURN_NOT_OK(version_.sources[source].Find(
        rest, version_.commit, s_.found_bodies.data(), s_.found_rows.data()));
    for (size_t i = 0; i < s_.pending.size(); ++i) {
      Take(s_.pending[i], source, i);
    }
    return Status::OK();
  }

  // All keys: an older source may hold the newer event.
  Status SearchNewer(size_t source) {
    s_.found_bodies.resize(s_.bodies.size());
    s_.found_rows.resize(s_.bodies.size());
    const KeySelection all{&keys_, s_.hashes.data(), {}, true};
    ARROW_RETURN_NOT_OK(version_.sources[source].Find(
        all, version_.commit, s_.found_bodies.data(), s_.found_rows.data()));
    const auto* column = FindEventColumn(*version_.state, version_.sources[source]);
    for (size_t i = 0; i < s_.bodies.size(); ++i) {
      if (s_.found_bodies[i] == nullptr) continue;
      if (s_.bodies[i] != nullptr) {
        const auto* best = FindEventColumn(*version_.state, version_.sources[s_.sources[i]]);
        if (RowEventTime(*best, s_.bodies[i]) >= RowEventTime(*column, s_.found_bodies[i])) {
          continue;
        }
      }
      Take(i, source, i);
    }
    return Status::OK();
  }

  void Take(size_t key, size_t source, size_t found) {
    if (s_.found_bodies[found] == nullptr) return;
    s_.bodies[key] = s_.found_bodies[found];
    s_.rows[key] = s_.found_rows[found];
    s_.sources[key] = static_cast<uint16_t>(source);
  }

  const Version& version_;
  const KeyBatch& keys_;
  Scratch& s_;
};

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
int64_t FilterDead(const Version& version, int64_t now_us, Scratch* s) {
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

std::vector<SourceRows> GroupBySource(const Version& version, const Scratch& s, bool hits_only) {
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

bool AllInOneSource(const Scratch& s) {
  for (const uint16_t source : s.sources) {
    if (source != s.sources[0]) return false;
  }
  return !s.sources.empty();
}

Result<std::shared_ptr<arrow::Buffer>> FoundBits(const Scratch& s) {
  const auto count = static_cast<int64_t>(s.bodies.size());
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> bits,
                        arrow::AllocateBuffer((count + 7) / 8));
  std::memset(bits->mutable_data(), 0, static_cast<size_t>(bits->size()));
  for (int64_t i = 0; i < count; ++i) {
    if (s.bodies[static_cast<size_t>(i)] != nullptr) SetBit(bits->mutable_data(), i);
  }
  return bits;
}

Result<std::shared_ptr<arrow::Array>> FoundPositions(const Scratch& s, int64_t found_count) {
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

}  // namespace

Result<Projection> Projection::Make(const TableState& state,
                                    const std::optional<std::vector<std::string>>& names) {
  Projection projection;
  std::vector<std::shared_ptr<arrow::Field>> fields;
  const auto add = [&](const ColumnSchema& column) {
    projection.columns.push_back(&column);
    fields.push_back(arrow::field(column.name, column.type));
  };
  if (!names.has_value()) {
    for (const ColumnSchema& column : state.value_columns) add(column);
  } else {
    for (const std::string& name : *names) {
      const ColumnSchema* column = state.FindValue(name);
      if (column != nullptr) {
        add(*column);
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
  projection.schema = arrow::schema(std::move(fields));
  return projection;
}

Result<std::vector<std::shared_ptr<arrow::Buffer>>> AllocateColumns(
    const std::vector<const ColumnSchema*>& columns, int64_t row_count) {
  std::vector<int64_t> widths;
  int64_t total = 0;
  for (const ColumnSchema* column : columns) {
    const segment::Physical physical = segment::PhysicalOf(*column->type);
    widths.push_back(physical.is_variable ? -1 : int64_t{physical.width});
    if (!physical.is_variable) {
      total += static_cast<int64_t>(RoundUp(static_cast<uint64_t>(row_count) * physical.width, 64));
    }
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> all, arrow::AllocateBuffer(total));
  std::vector<std::shared_ptr<arrow::Buffer>> slices;
  int64_t at = 0;
  for (const int64_t width : widths) {
    if (width < 0) {
      slices.push_back(nullptr);
      continue;
    }
    slices.push_back(arrow::SliceMutableBuffer(all, at, row_count * width));
    at += static_cast<int64_t>(RoundUp(static_cast<uint64_t>(row_count * width), 64));
  }
  return slices;
}

Result<ReadResult> ReadVersion(const Version& version, const KeyBatch& keys,
                               const Projection& projection, bool hits_only, int64_t now_us) {
  Scratch& s = ThreadScratch();
  ARROW_RETURN_NOT_OK(Locator(version, keys, &s).Run());
  ReadResult result;
  result.version = version.commit;
  result.found_count = FilterDead(version, now_us, &s);
  const bool all_found = result.found_count == keys.count;
  ARROW_ASSIGN_OR_RAISE(result.found, FoundBits(s));
  if (hits_only) {
    ARROW_ASSIGN_OR_RAISE(result.positions, FoundPositions(s, result.found_count));
  }
  const int64_t row_count = hits_only ? result.found_count : keys.count;

  // The common case, every key in one source, needs no grouping.
  const bool is_direct = all_found && AllInOneSource(s);
  std::vector<SourceRows> groups;
  if (!is_direct) groups = GroupBySource(version, s, hits_only);
  const RowSelection direct{s.bodies.data(), s.rows.data(), nullptr, keys.count};

  ARROW_ASSIGN_OR_RAISE(const auto buffers, AllocateColumns(projection.columns, row_count));
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  arrays.reserve(buffers.size());
  for (size_t c = 0; c < projection.columns.size(); ++c) {
    const ColumnSchema& column = *projection.columns[c];
    ColumnOutput output(column.type, row_count, buffers[c], hits_only || all_found);
    if (is_direct) {
      ARROW_RETURN_NOT_OK(version.sources[s.sources[0]].Gather(column.id, direct, &output));
    }
    for (const SourceRows& group : groups) {
      ARROW_RETURN_NOT_OK(group.source->Gather(column.id, group.Selection(), &output));
    }
    const bool has_misses = !hits_only && !all_found;
    ARROW_ASSIGN_OR_RAISE(auto array, output.Finish(has_misses ? result.found : nullptr,
                                                    has_misses ? result.found_count : row_count));
    arrays.push_back(std::move(array));
  }
  result.batch = arrow::RecordBatch::Make(projection.schema, row_count, std::move(arrays));
  s.Shrink();
  return result;
}

Result<std::vector<std::shared_ptr<arrow::Array>>> ReadColumns(
    const Version& version, const KeyBatch& keys, const std::vector<const ColumnSchema*>& columns,
    int64_t now_us) {
  Projection projection;
  projection.columns = columns;
  std::vector<std::shared_ptr<arrow::Field>> fields;
  for (const ColumnSchema* column : columns) {
    fields.push_back(arrow::field(column->name, column->type));
  }
  projection.schema = arrow::schema(std::move(fields));
  ARROW_ASSIGN_OR_RAISE(const ReadResult result,
                        ReadVersion(version, keys, projection, false, now_us));
  return result.batch->columns();
}

Result<std::vector<std::shared_ptr<arrow::Array>>> GatherRows(
    const Source& source, const std::vector<const ColumnSchema*>& columns, int32_t event_time_index,
    const RowSelection& rows) {
  ARROW_ASSIGN_OR_RAISE(const auto buffers, AllocateColumns(columns, rows.count));
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (size_t c = 0; c < columns.size(); ++c) {
    ColumnOutput output(columns[c]->type, rows.count, buffers[c], true);
    ARROW_RETURN_NOT_OK(source.Gather(columns[c]->id, rows, &output));
    for (int64_t i = 0; static_cast<int32_t>(c) != event_time_index && i < rows.count; ++i) {
      if (rows.bodies[i][0] & segment::kTombstoneBit) output.SetNull(rows.At(i));
    }
    ARROW_ASSIGN_OR_RAISE(auto array, output.Finish(nullptr, rows.count));
    arrays.push_back(std::move(array));
  }
  return arrays;
}

}  // namespace fletching::table
