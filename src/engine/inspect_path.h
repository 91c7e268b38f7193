// What stands in a file, or in each file of a folder.
#pragma once

#include <string>

#include "fletching/request.h"
#include "fletching/status.h"

#include "io/file.h"

namespace fletching::engine {

// What Engine::Inspect promises.
Result<InspectReport> InspectPath(io::FileSystem* file_system, const std::string& path,
                                  bool show_all);

}  // namespace fletching::engine
