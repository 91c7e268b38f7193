// Reads a stored fixed-width value as a wider type: the other half of "widen a column by a manifest
// change alone". Source of the rules: IsWidening in fletching/schema.h.
#pragma once

#include <cstdint>

#include "arrow/type_fwd.h"

namespace fletching::segment {

// Converts one value; source and target are unaligned little-endian bytes.
using WidenFunction = void (*)(const uint8_t* source, uint8_t* target);

// nullptr when the bytes need no conversion (equal types). IsWidening(from, to) must hold.
WidenFunction FindWiden(const arrow::DataType& from, const arrow::DataType& to);

}  // namespace fletching::segment
