// A version of a table: its schema and an immutable list of row sources, published by one pointer
// swap. Readers pin one for a whole request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fletching/request.h"
#include "fletching/schema.h"

#include "segment/row_layout.h"
#include "segment/segment_reader.h"
#include "table/memtable.h"
#include "table/published.h"

namespace fletching::table {

// A schema with what the hot paths derive from it. Immutable.
struct TableState {
  TableSchema schema;
  uint64_t id = 0;  // of this object: no other of the process has or had it
  uint64_t hash_seed = 0;
  uint32_t next_column_id = 1;
  std::optional<GenerationInfo> generation;
  uint32_t partition_count = 1;  // of the generation; see format::Manifest

  std::vector<ColumnSchema> value_columns;  // every column that is not a key, declared order
  std::vector<ColumnSchema> key_columns;    // key order
  std::vector<std::shared_ptr<arrow::DataType>> key_types;  // likewise
  segment::RowLayout full_layout;                           // columns aligned with value_columns
  int32_t event_time_index = -1;                            // into value_columns
  int64_t event_units_per_second = 0;
  int64_t ttl_us = 0;

  static std::shared_ptr<const TableState> Make(TableSchema schema, uint64_t hash_seed,
                                                uint32_t next_column_id,
                                                std::optional<GenerationInfo> generation = {},
                                                uint32_t partition_count = 1);
  // nullptr when `name` is no value column.
  const ColumnSchema* FindValue(std::string_view name) const;
  // Key columns in key order, then value columns; -1 when `name` is neither.
  int32_t FindPlace(std::string_view name) const;
  size_t PlaceCount() const { return key_columns.size() + value_columns.size(); }
  const ColumnSchema& ColumnAt(size_t place) const {
    return place < key_columns.size() ? key_columns[place]
                                      : value_columns[place - key_columns.size()];
  }
  int64_t EventToMicros(int64_t event_time) const;
  int64_t MicrosToEvent(int64_t micros) const;

 private:
  struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };
  std::unordered_map<std::string, int32_t, NameHash, std::equal_to<>> places_;
};

// One place rows are read from: a segment, or a memory table up to a commit.
struct Source {
  std::shared_ptr<const segment::SegmentReader> segment;  // one of the two
  std::shared_ptr<Memtable> memtable;
  uint64_t number = 0;  // of the segment's file
  uint64_t commit = 0;  // newest commit in it; for the memory table being written, UINT64_MAX
  int64_t newest_time_us = 0;

  const segment::RowLayout& layout() const {
    return segment != nullptr ? segment->layout() : memtable->layout();
  }
  uint64_t row_count() const {
    return segment != nullptr ? segment->live_row_count() : memtable->row_count();
  }
  // As SegmentReader::Find. Nothing later than the version's commit is seen.
  Result<int64_t> Find(const segment::KeySelection& keys, uint64_t version_commit,
                       const uint8_t** bodies_out, uint32_t* rows_out) const;
  // As SegmentReader::Gather.
  Status Gather(std::span<const uint32_t> column_ids, const segment::RowSelection& rows,
                segment::ColumnOutput* outputs) const;
  // Whether rows may be tombstones, which only a look at them tells.
  bool MayHoldTombstones() const {
    return segment == nullptr || segment->footer().tombstone_count > 0;
  }
  // cursor: 0 at the start, UINT64_MAX when there is no more.
  Status Scan(uint64_t version_commit, uint64_t* cursor, int64_t limit,
              std::vector<ByteSpan>* keys_out, std::vector<const uint8_t*>* bodies_out,
              std::vector<uint32_t>* rows_out) const;
};

// As SegmentReader::CheckIntact, for every segment among them.
Status CheckIntact(std::span<const Source> sources);

class Version final : public Published {
 public:
  std::shared_ptr<const TableState> state;
  std::vector<Source> sources;  // newest first
  uint64_t commit = 0;          // what readers of this version see
};

// Time in microseconds that decides expiry of a row, or the event time that decides who wins.
// `column_index` of the event time in the source's layout comes from FindEventColumn.
const segment::LayoutColumn* FindEventColumn(const TableState& state, const Source& source);
int64_t RowEventTime(const segment::LayoutColumn& column, const uint8_t* body);

// Whether the row counts at `now_us`: no tombstone and not expired.
class RowFilter {
 public:
  RowFilter(const TableState& state, const Source& source, int64_t now_us);
  bool IsLive(const uint8_t* body) const {
    if (body[0] & segment::kTombstoneBit) return false;
    return ttl_us_ == 0 || !IsExpired(body);
  }
  bool IsExpired(const uint8_t* body) const;

 private:
  const TableState& state_;
  const segment::LayoutColumn* event_column_;
  int32_t time_offset_;
  int64_t ttl_us_;
  int64_t now_us_;
};

}  // namespace fletching::table
