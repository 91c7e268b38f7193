#include "table/segment_plan.h"

#include <algorithm>
#include <utility>

#include "segment/keys.h"

namespace fletching::table {
namespace {

using format::Encoding;
using segment::PhysicalColumn;

// A sparse value costs its address (4 bytes) and one more cache miss to read; below this share of
// filled rows it still takes less than half the bytes of a packed 4-byte column.
constexpr double kSparseFillMax = 0.2;

bool SameValue(const ByteSpan a, const ByteSpan b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

bool IsConstant(const std::vector<PreparedBatch>& batches, size_t column) {
  const PhysicalColumn* first = nullptr;
  for (const PreparedBatch& batch : batches) {
    if (batch.row_count == 0) continue;
    const PhysicalColumn& values = batch.columns[column];
    if (values.all_null() || !batch.tombstones.empty()) return false;
    if (first == nullptr) first = &values;
    for (int64_t row = 0; row < batch.row_count; ++row) {
      if (values.IsNull(row) || !SameValue(values.Value(row), first->Value(0))) return false;
    }
  }
  return first != nullptr;
}

}  // namespace

segment::SegmentSpec PlanSegment(const TableState& state, const std::vector<ColumnFacts>& facts,
                                 uint64_t varying_bytes_average, const SealOptions& options) {
  segment::SegmentSpec spec;
  std::vector<segment::ColumnPlan> plans;
  for (size_t i = 0; i < facts.size(); ++i) {
    const ColumnFacts& fact = facts[i];
    segment::ColumnPlan plan{state.value_columns[i].id, fact.type, Encoding::kPacked, true};
    const bool is_event_time = static_cast<int32_t>(i) == state.event_time_index;
    const double fill = fact.row_count == 0 ? 1.0
                                            : static_cast<double>(fact.value_count) /
                                                  static_cast<double>(fact.row_count);
    if (is_event_time) {
      spec.event_time_index = static_cast<int32_t>(i);
    } else if (fact.is_complete && fact.is_constant) {
      plan.encoding = Encoding::kConstant;
    } else if (fill < kSparseFillMax) {
      plan.encoding = Encoding::kSparse;
    }
    plan.may_be_null = !(fact.is_complete && fact.value_count == fact.row_count);
    plans.push_back(std::move(plan));
    spec.column_names.push_back(state.value_columns[i].name);
  }
  spec.layout = segment::PlaceColumns(segment::KeyWidth(state.schema), plans,
                                      segment::KeepsCommitTime(state.schema));
  spec.layout.unit_bytes = segment::ChooseUnit(varying_bytes_average + spec.layout.fixed_bytes +
                                               spec.layout.key_prefix_bytes());
  spec.hash_seed = state.hash_seed;
  spec.durable = options.durable;
  spec.index_in_scratch = options.index_in_scratch;
  return spec;
}

std::vector<ColumnFacts> MeasureBatches(const TableState& state,
                                        const std::vector<PreparedBatch>& batches,
                                        bool is_complete) {
  std::vector<ColumnFacts> facts(state.value_columns.size());
  for (size_t c = 0; c < facts.size(); ++c) {
    ColumnFacts& fact = facts[c];
    fact.type = state.value_columns[c].type;
    fact.is_complete = is_complete;
    for (const PreparedBatch& batch : batches) {
      const PhysicalColumn& column = batch.columns[c];
      fact.row_count += static_cast<uint64_t>(batch.row_count);
      if (column.all_null()) continue;
      if (column.validity == nullptr) {
        fact.value_count += static_cast<uint64_t>(batch.row_count);
        continue;
      }
      for (int64_t row = 0; row < batch.row_count; ++row) {
        fact.value_count += column.IsNull(row) ? 0 : 1;
      }
    }
    fact.is_constant = is_complete && fact.value_count == fact.row_count && IsConstant(batches, c);
  }
  return facts;
}

uint64_t AverageRowBytes(const std::vector<PreparedBatch>& batches) {
  uint64_t rows = 0;
  uint64_t bytes = 0;
  for (const PreparedBatch& batch : batches) {
    rows += static_cast<uint64_t>(batch.row_count);
    for (int64_t i = 0; i < batch.row_count; ++i) bytes += batch.keys.Size(i);
    for (const PhysicalColumn& column : batch.columns) {
      if (column.all_null() || column.offsets == nullptr) continue;
      bytes += static_cast<uint64_t>(column.offsets[batch.row_count] - column.offsets[0]);
    }
  }
  return rows == 0 ? 0 : bytes / rows;
}

}  // namespace fletching::table
