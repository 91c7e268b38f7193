// How rows are packed in one segment or one memory table. Stages: seal, locate, gather.
//
//   key     u16 length + bytes, or key_width bytes
//   body    bits | fixed-width slots | u32 ends | variable-length bytes
//
// All offsets count from the body, which begins right behind the key: a reader that has matched a
// key knows its length, so the offsets of all columns follow without another look at the row.
// Plain data; segment_layout.h draws the bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "arrow/type_fwd.h"

#include "fletching/schema.h"
#include "fletching/status.h"

#include "base/bytes.h"
#include "format/segment_layout.h"

namespace fletching::segment {

inline constexpr uint8_t kTombstoneBit = 1;  // in the first byte of the body

struct LayoutColumn {
  uint32_t column_id = 0;
  std::shared_ptr<arrow::DataType> type;
  format::Encoding encoding = format::Encoding::kPacked;
  bool is_variable = false;
  uint32_t width = 0;
  uint32_t null_bit = 0;     // packed: 0 = no row of this column is null
  uint32_t slot_offset = 0;  // packed, fixed width
  uint32_t var_index = 0;    // packed, variable
};

struct RowLayout {
  int32_t key_width = -1;
  uint32_t bits_bytes = 1;
  uint32_t fixed_bytes = 1;  // bits, slots and ends
  uint32_t var_count = 0;
  uint32_t unit_bytes = 8;
  int32_t time_offset = -1;  // hidden commit time
  std::vector<LayoutColumn> columns;
  // (column_id, index in columns), by id; made by IndexColumns.
  std::vector<std::pair<uint32_t, uint32_t>> index_by_id;

  void IndexColumns();
  uint32_t key_prefix_bytes() const { return key_width < 0 ? 2 : 0; }
  uint32_t ends_offset() const { return fixed_bytes - 4 * var_count; }
  // Index in `columns`, or -1 when the column has no data here.
  int32_t IndexOf(uint32_t column_id) const;
  // nullptr when the column has no data here.
  const LayoutColumn* Find(uint32_t column_id) const;
};

// What a writer knows of one column before it fixes the layout.
struct ColumnPlan {
  uint32_t column_id = 0;
  std::shared_ptr<arrow::DataType> type;
  format::Encoding encoding = format::Encoding::kPacked;
  bool may_be_null = true;  // packed only
};

// Places bits, slots (widest first, so that small rows stay in few cache lines whatever the order
// of declaration) and ends.
// keeps_time: reserve the hidden commit time.
RowLayout PlaceColumns(int32_t key_width, const std::vector<ColumnPlan>& plans, bool keeps_time);

// Every value column packed and nullable: the layout of memory tables and logs.
RowLayout FullLayout(const TableSchema& schema);

// Whether rows must carry the time of their commit: ttl without an event time.
bool KeepsCommitTime(const TableSchema& schema);

// The unit that rows of about `row_bytes` should be aligned to: 64 when that costs at most a fifth,
// else 8. Rows within one cache line then never straddle two.
uint32_t ChooseUnit(uint64_t row_bytes);

struct RowView {
  ByteSpan key;
  const uint8_t* body = nullptr;
  uint32_t row_bytes = 0;  // without padding
};

// Parses the row that starts at `bytes`. Checks every length against the span, so that what it
// returns may be touched. Errors: kCorruption, naming `file` and `offset_bytes`.
Result<RowView> ParseRow(const RowLayout& layout, ByteSpan bytes, const std::string& file,
                         uint64_t offset_bytes);

}  // namespace fletching::segment
