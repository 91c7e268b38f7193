// Columns of a batch -> packed rows. Stage: seal.
// The inner loops run column by column over a few thousand rows whose bytes stay in the L2 cache.
#pragma once

#include <cstdint>
#include <vector>

#include "fletching/status.h"

#include "segment/keys.h"
#include "segment/physical.h"
#include "segment/row_layout.h"

namespace fletching::segment {

struct RowBatch {
  const KeyBatch* keys = nullptr;
  // Aligned with RowLayout::columns of the target. Columns that are not packed are ignored here.
  std::vector<PhysicalColumn> columns;
  const uint8_t* tombstones = nullptr;  // one byte a row, 1 = deleted; null = none
  const int64_t* times_us = nullptr;    // one per row, for layouts that keep the commit time
};

// Appends rows [first, first + count) to `rows_out`, each padded to layout.unit_bytes and preceded
// by `gap_bytes` zero bytes (room for a RowPrefix; a multiple of the unit, or 0).
// starts_out[i]: offset in `rows_out` of row i, behind its gap. sizes_out (may be null): its bytes
// without padding. Errors: kTooLarge for a row whose text exceeds 4 GiB.
Status EncodeRows(const RowLayout& layout, const RowBatch& batch, int64_t first, int64_t count,
                  uint32_t gap_bytes, std::vector<uint8_t>* rows_out,
                  std::vector<uint64_t>* starts_out, std::vector<uint32_t>* sizes_out);

}  // namespace fletching::segment
