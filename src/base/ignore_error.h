// For clean-up whose failure changes nothing: what is left behind is removed at the next open.
#pragma once

#include "fletching/status.h"

namespace fletching {

inline void IgnoreError(const Status& /*status*/) {}

}  // namespace fletching
