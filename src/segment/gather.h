// Copies fixed-width columns out of packed rows. Stage: gather.
#pragma once

#include <cstdint>
#include <span>

#include "segment/column_output.h"
#include "segment/locate.h"
#include "segment/row_layout.h"

namespace fletching::segment {

// outputs[i] receives column column_ids[i] when `layout` packs it; others are left alone.
// Rows are taken in small chunks, all columns of a chunk before the next, so that each row's lines
// are read from memory once; four neighbouring 4-byte columns cross in registers.
void GatherPackedColumns(const RowLayout& layout, std::span<const uint32_t> column_ids,
                         const RowSelection& rows, ColumnOutput* outputs);

}  // namespace fletching::segment
