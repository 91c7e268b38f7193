// How large a column becomes when it is written out plainly. Dictionaries and views let a few
// kilobytes name the same long value many thousand times; this is asked before anyone copies them.
#pragma once

#include <cstdint>

#include "arrow/type_fwd.h"

#include "fletching/status.h"

namespace fletching::ingest {

// One column of one batch (64 Ki rows of 4 KiB each). Also the most that a cast may allocate.
constexpr int64_t kUnfoldedBytesMax = int64_t{256} << 20;

// Dictionary indices must be in range and buffers as long as the lengths say (Array::Validate);
// offsets, views and their bytes need not have been looked at. Types that cannot be stored count 0.
// Errors: kTooLarge naming both sizes.
Status CheckUnfolded(const arrow::Array& column);

// kTooLarge when `row_count` values of `type` exceed the bound; types of variable width pass.
Status CheckPlainBytes(const arrow::DataType& type, int64_t row_count);

}  // namespace fletching::ingest
