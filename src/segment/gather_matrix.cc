#include "segment/gather_matrix.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace fletching::segment {
namespace {

// The same bytes in the row and in the matrix.
struct Run {
  uint32_t source_offset;
  int64_t target_offset;
  uint32_t bytes;
};

using RunCopy = void (*)(const uint8_t* const* sources, uint8_t* const* targets, int64_t count,
                         const Run& run);

// Its width known, a run is a handful of vector moves.
template <uint32_t kBytes>
void CopyRun(const uint8_t* const* sources, uint8_t* const* targets, int64_t count,
             const Run& run) {
  const uint32_t source_offset = run.source_offset;
  const int64_t target_offset = run.target_offset;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(targets[i] + target_offset, sources[i] + source_offset, kBytes);
  }
}

void CopyAnyRun(const uint8_t* const* sources, uint8_t* const* targets, int64_t count,
                const Run& run) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(targets[i] + run.target_offset, sources[i] + run.source_offset, run.bytes);
  }
}

constexpr uint32_t kRunUnit = 4;
constexpr size_t kKnownRuns = 32;  // to 128 bytes

template <size_t... kIndex>
constexpr std::array<RunCopy, sizeof...(kIndex)> MakeRunCopies(std::index_sequence<kIndex...>) {
  return {CopyRun<static_cast<uint32_t>(kIndex + 1) * kRunUnit>...};
}
constexpr auto kRunCopies = MakeRunCopies(std::make_index_sequence<kKnownRuns>());

RunCopy FindRunCopy(uint32_t bytes) {
  const bool is_known = bytes % kRunUnit == 0 && bytes / kRunUnit <= kKnownRuns;
  return is_known ? kRunCopies[bytes / kRunUnit - 1] : CopyAnyRun;
}

struct NullableColumn {
  std::string_view name;
  uint32_t null_bit;
  int64_t target_offset;
};

// What a row's columns become, settled once for all rows of a source.
struct Plan {
  std::vector<std::pair<Run, RunCopy>> runs;
  std::vector<std::pair<CellColumn, uint32_t>> converted;  // with their null bits
  std::vector<NullableColumn> nullable;                    // those in runs

  Status Add(const ColumnSchema& column, const LayoutColumn& stored, size_t at,
             const MatrixTarget& target) {
    const int64_t target_offset = target.Offset(at);
    if (!IsSameType(*stored.type, target.type())) {
      ARROW_ASSIGN_OR_RAISE(const CellConverter convert,
                            FindCellConverter(column.name, *stored.type, target.type()));
      converted.push_back(
          {{column.name, stored.type.get(), convert, stored.slot_offset, target_offset},
           stored.null_bit});
      return Status::OK();
    }
    if (stored.null_bit != 0) nullable.push_back({column.name, stored.null_bit, target_offset});
    if (!runs.empty()) {
      Run& last = runs.back().first;
      if (target.is_row_major() && last.source_offset + last.bytes == stored.slot_offset &&
          last.target_offset + last.bytes == target_offset) {
        last.bytes += target.width();
        return Status::OK();
      }
    }
    runs.push_back({{stored.slot_offset, target_offset, target.width()}, nullptr});
    return Status::OK();
  }
};

bool IsNull(const uint8_t* body, uint32_t null_bit) {
  return (body[null_bit >> 3] >> (null_bit & 7)) & 1;
}

bool AnyNull(const RowLayout& layout, const uint8_t* const* bodies, int64_t count) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < count; ++i) {
    bits |= bodies[i][0] & static_cast<uint32_t>(~kTombstoneBit);
    for (uint32_t byte = 1; byte < layout.bits_bytes; ++byte) bits |= bodies[i][byte];
  }
  return bits != 0;
}

}  // namespace

std::vector<size_t> ColumnsNotPacked(const RowLayout& layout,
                                     std::span<const ColumnSchema* const> columns) {
  std::vector<size_t> others;
  for (size_t at = 0; at < columns.size(); ++at) {
    const LayoutColumn* stored = layout.Find(columns[at]->id);
    if (stored == nullptr || stored->encoding != format::Encoding::kPacked) others.push_back(at);
  }
  return others;
}

Status GatherMatrix(const RowLayout& layout, std::span<const ColumnSchema* const> columns,
                    const RowSelection& rows, const MatrixTarget& target) {
  Plan plan;
  for (size_t at = 0; at < columns.size(); ++at) {
    const LayoutColumn* stored = layout.Find(columns[at]->id);
    if (stored == nullptr || stored->encoding != format::Encoding::kPacked) continue;
    ARROW_RETURN_NOT_OK(plan.Add(*columns[at], *stored, at, target));
  }
  for (auto& [run, copy] : plan.runs) copy = FindRunCopy(run.bytes);
  uint8_t* targets[kMatrixRowsTogether];
  for (int64_t begin = 0; begin < rows.count; begin += kMatrixRowsTogether) {
    const int64_t count = std::min(kMatrixRowsTogether, rows.count - begin);
    const uint8_t* const* bodies = rows.bodies + begin;
    for (int64_t i = 0; i < count; ++i) targets[i] = target.Row(rows.At(begin + i));
    for (const auto& [run, copy] : plan.runs) copy(bodies, targets, count, run);
    const bool may_be_null =
        (!plan.nullable.empty() || !plan.converted.empty()) && AnyNull(layout, bodies, count);
    for (const auto& [column, null_bit] : plan.converted) {
      const uint32_t bit = null_bit;
      ARROW_RETURN_NOT_OK(ConvertCells(
          target, column, bodies, targets, count, may_be_null && bit != 0,
          [&](int64_t i) { return IsNull(bodies[i], bit); },
          [&](int64_t i) { return rows.At(begin + i); }));
    }
    if (!may_be_null) continue;
    for (const NullableColumn& column : plan.nullable) {
      for (int64_t i = 0; i < count; ++i) {
        if (!IsNull(bodies[i], column.null_bit)) continue;
        if (!target.has_fill()) return NullWithoutFill(column.name);
        target.Fill(targets[i] + column.target_offset);
      }
    }
  }
  return Status::OK();
}

}  // namespace fletching::segment
