// One way to turn errno into our errors, so that every call words them alike.
#pragma once

#include <string>
#include <string_view>

#include "fletching/status.h"

namespace fletching::io {

// "cannot sync /data/x.log: Input/output error". `action` follows the word "cannot".
// ENOENT: kNotFound; EEXIST: kAlreadyExists; ENOSPC and EDQUOT: kStorageFull; else kUnavailable.
Status ErrnoError(std::string_view action, const std::string& path, int error);

}  // namespace fletching::io
