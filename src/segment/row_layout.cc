#include "segment/row_layout.h"

#include <algorithm>
#include <numeric>

#include <arrow/type.h>

#include "base/check.h"
#include "segment/keys.h"
#include "segment/physical.h"

namespace fletching::segment {

void RowLayout::IndexColumns() {
  index_by_id.clear();
  for (uint32_t i = 0; i < columns.size(); ++i) index_by_id.emplace_back(columns[i].column_id, i);
  std::sort(index_by_id.begin(), index_by_id.end());
}

int32_t RowLayout::IndexOf(uint32_t column_id) const {
  // Ids are given out in a row, and few columns ever go.
  const size_t guess = index_by_id.empty() ? 0 : column_id - index_by_id.front().first;
  if (guess < index_by_id.size() && index_by_id[guess].first == column_id) {
    return static_cast<int32_t>(index_by_id[guess].second);
  }
  const auto found = std::lower_bound(index_by_id.begin(), index_by_id.end(),
                                      std::pair<uint32_t, uint32_t>(column_id, 0));
  if (found == index_by_id.end() || found->first != column_id) return -1;
  return static_cast<int32_t>(found->second);
}

const LayoutColumn* RowLayout::Find(uint32_t column_id) const {
  const int32_t index = IndexOf(column_id);
  return index < 0 ? nullptr : &columns[static_cast<size_t>(index)];
}

RowLayout PlaceColumns(int32_t key_width, const std::vector<ColumnPlan>& plans, bool keeps_time) {
  RowLayout layout;
  layout.key_width = key_width;
  uint32_t next_bit = 1;  // 0 is the tombstone
  for (const ColumnPlan& plan : plans) {
    const Physical physical = PhysicalOf(*plan.type);
    LayoutColumn column{plan.column_id, plan.type, plan.encoding, physical.is_variable,
                        physical.width};
    if (plan.encoding == format::Encoding::kPacked) {
      if (plan.may_be_null) column.null_bit = next_bit++;
      if (physical.is_variable) column.var_index = layout.var_count++;
    }
    layout.columns.push_back(std::move(column));
  }
  layout.bits_bytes = (next_bit + 7) / 8;
  uint32_t at = layout.bits_bytes;
  if (keeps_time) {
    layout.time_offset = static_cast<int32_t>(at);
    at += 8;
  }
  std::vector<size_t> order(layout.columns.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::min(layout.columns[a].width, 8u) > std::min(layout.columns[b].width, 8u);
  });
  for (const size_t i : order) {
    LayoutColumn& column = layout.columns[i];
    if (column.encoding != format::Encoding::kPacked || column.is_variable) continue;
    column.slot_offset = at;
    at += column.width;
  }
  layout.fixed_bytes = at + 4 * layout.var_count;
  layout.IndexColumns();
  return layout;
}

RowLayout FullLayout(const TableSchema& schema) {
  std::vector<ColumnPlan> plans;
  for (const ColumnSchema& column : schema.columns) {
    if (schema.IsKey(column.name)) continue;
    plans.push_back({column.id, column.type, format::Encoding::kPacked, true});
  }
  return PlaceColumns(KeyWidth(schema), plans, KeepsCommitTime(schema));
}

bool KeepsCommitTime(const TableSchema& schema) {
  return schema.ttl_ms > 0 && schema.event_time.empty();
}

uint32_t ChooseUnit(uint64_t row_bytes) {
  const uint64_t padded = RoundUp(row_bytes, 64);
  return padded * 5 <= RoundUp(row_bytes, 8) * 6 ? 64 : 8;
}

Result<RowView> ParseRow(const RowLayout& layout, ByteSpan bytes, const std::string& file,
                         uint64_t offset_bytes) {
  const uint32_t prefix = layout.key_prefix_bytes();
  if (bytes.size() < prefix) return Corruption(file, offset_bytes, "row is cut in its key length");
  const uint32_t key_bytes =
      prefix != 0 ? LoadAs<uint16_t>(bytes.data()) : static_cast<uint32_t>(layout.key_width);
  const uint64_t fixed_end = uint64_t{prefix} + key_bytes + layout.fixed_bytes;
  if (bytes.size() < fixed_end) return Corruption(file, offset_bytes, "row is cut in its columns");
  RowView row;
  row.key = bytes.subspan(prefix, key_bytes);
  row.body = bytes.data() + prefix + key_bytes;
  uint32_t end = 0;
  for (uint32_t i = 0; i < layout.var_count; ++i) {
    const auto next = LoadAs<uint32_t>(row.body + layout.ends_offset() + 4 * size_t{i});
    if (next < end) return Corruption(file, offset_bytes, "ends of a row go backwards");
    end = next;
  }
  if (bytes.size() - fixed_end < end)
    return Corruption(file, offset_bytes, "row is cut in its text");
  const uint64_t row_bytes = fixed_end + end;
  if (row_bytes > UINT32_MAX) return Corruption(file, offset_bytes, "row of more than 4 GiB");
  row.row_bytes = static_cast<uint32_t>(row_bytes);
  return row;
}

}  // namespace fletching::segment
