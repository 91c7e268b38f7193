#include "table/version.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include <arrow/type.h>

#include "segment/gather.h"
#include "segment/keys.h"

namespace fletching::table {
namespace {

constexpr int64_t kMicrosPerSecond = 1'000'000;

int64_t UnitsPerSecond(const arrow::DataType& type) {
  switch (static_cast<const arrow::TimestampType&>(type).unit()) {
    case arrow::TimeUnit::SECOND:
      return 1;
    case arrow::TimeUnit::MILLI:
      return 1'000;
    case arrow::TimeUnit::MICRO:
      return kMicrosPerSecond;
    case arrow::TimeUnit::NANO:
      return 1'000'000'000;
  }
  return kMicrosPerSecond;
}

// Times come from outside and may lie at the ends of their range: there they stay.
int64_t Scaled(int64_t time, int64_t factor) {
  int64_t scaled = 0;
  if (!__builtin_mul_overflow(time, factor, &scaled)) return scaled;
  return time < 0 ? INT64_MIN : INT64_MAX;
}

bool IsOlderThan(int64_t age_us, int64_t now_us, int64_t time_us) {
  int64_t age = 0;
  if (__builtin_sub_overflow(now_us, time_us, &age)) return time_us < 0;
  return age > age_us;
}

}  // namespace

std::shared_ptr<const TableState> TableState::Make(TableSchema schema, uint64_t hash_seed,
                                                   uint32_t next_column_id,
                                                   std::optional<GenerationInfo> generation,
                                                   uint32_t partition_count) {
  static std::atomic<uint64_t> last_id{0};
  auto state = std::make_shared<TableState>();
  state->id = ++last_id;
  state->schema = std::move(schema);
  state->hash_seed = hash_seed;
  state->next_column_id = next_column_id;
  state->generation = std::move(generation);
  state->partition_count = partition_count;
  for (const ColumnSchema& column : state->schema.columns) {
    if (state->schema.IsKey(column.name)) continue;
    const auto index = static_cast<int32_t>(state->value_columns.size());
    if (column.name == state->schema.event_time) {
      state->event_time_index = index;
      state->event_units_per_second = UnitsPerSecond(*column.type);
    }
    state->value_columns.push_back(column);
  }
  for (const std::string& name : state->schema.key) {
    state->key_columns.push_back(*state->schema.Find(name));
    state->key_columns.back().strict = true;  // a rounded key is another key
    state->key_types.push_back(state->key_columns.back().type);
  }
  for (size_t place = 0; place < state->PlaceCount(); ++place) {
    state->places_[state->ColumnAt(place).name] = static_cast<int32_t>(place);
  }
  state->full_layout = segment::FullLayout(state->schema);
  state->ttl_us = Scaled(state->schema.ttl_ms, 1000);
  return state;
}

int32_t TableState::FindPlace(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? -1 : found->second;
}

const ColumnSchema* TableState::FindValue(std::string_view name) const {
  const int32_t value = FindPlace(name) - static_cast<int32_t>(key_columns.size());
  return value < 0 ? nullptr : &value_columns[static_cast<size_t>(value)];
}

int64_t TableState::EventToMicros(int64_t event_time) const {
  if (event_units_per_second >= kMicrosPerSecond) {
    return event_time / (event_units_per_second / kMicrosPerSecond);
  }
  return Scaled(event_time, kMicrosPerSecond / event_units_per_second);
}

int64_t TableState::MicrosToEvent(int64_t micros) const {
  if (event_units_per_second >= kMicrosPerSecond) {
    return Scaled(micros, event_units_per_second / kMicrosPerSecond);
  }
  return micros / (kMicrosPerSecond / event_units_per_second);
}

Result<int64_t> Source::Find(const segment::KeySelection& keys, uint64_t version_commit,
                             const uint8_t** bodies_out, uint32_t* rows_out) const {
  if (segment != nullptr) return segment->Find(keys, bodies_out, rows_out);
  return memtable->Find(keys, std::min(commit, version_commit), bodies_out, rows_out);
}

Status Source::Gather(std::span<const uint32_t> column_ids, const segment::RowSelection& rows,
                      segment::ColumnOutput* outputs) const {
  if (segment != nullptr) return segment->Gather(column_ids, rows, outputs);
  segment::GatherPackedColumns(memtable->layout(), column_ids, rows, outputs);
  for (size_t i = 0; i < column_ids.size(); ++i) {
    if (memtable->layout().IndexOf(column_ids[i]) < 0) outputs[i].SetAllNull(rows);
  }
  return Status::OK();
}

Status Source::Scan(uint64_t version_commit, uint64_t* cursor, int64_t limit,
                    std::vector<ByteSpan>* keys_out, std::vector<const uint8_t*>* bodies_out,
                    std::vector<uint32_t>* rows_out) const {
  if (segment == nullptr) {
    memtable->Scan(std::min(commit, version_commit), cursor, limit, keys_out, bodies_out, rows_out);
    return Status::OK();
  }
  ARROW_RETURN_NOT_OK(segment->Scan(cursor, limit, keys_out, bodies_out, rows_out));
  if (*cursor >= segment->end_address()) *cursor = UINT64_MAX;
  return Status::OK();
}

Status CheckIntact(std::span<const Source> sources) {
  for (const Source& source : sources) {
    if (source.segment != nullptr) ARROW_RETURN_NOT_OK(source.segment->CheckIntact());
  }
  return Status::OK();
}

const segment::LayoutColumn* FindEventColumn(const TableState& state, const Source& source) {
  if (state.event_time_index < 0) return nullptr;
  return source.layout().Find(state.value_columns[state.event_time_index].id);
}

int64_t RowEventTime(const segment::LayoutColumn& column, const uint8_t* body) {
  return LoadAs<int64_t>(body + column.slot_offset);
}

RowFilter::RowFilter(const TableState& state, const Source& source, int64_t now_us)
    : state_(state),
      event_column_(FindEventColumn(state, source)),
      time_offset_(source.layout().time_offset),
      ttl_us_(state.ttl_us),
      now_us_(now_us) {}

bool RowFilter::IsExpired(const uint8_t* body) const {
  if (ttl_us_ == 0) return false;
  if (event_column_ != nullptr) {
    return IsOlderThan(ttl_us_, now_us_, state_.EventToMicros(RowEventTime(*event_column_, body)));
  }
  return time_offset_ >= 0 && IsOlderThan(ttl_us_, now_us_, LoadAs<int64_t>(body + time_offset_));
}

}  // namespace fletching::table
