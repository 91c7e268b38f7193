// What is read when somebody looks at the metrics: tables, the disk, the process itself.
#pragma once

#include <string>

#include "fletching/fwd.h"

namespace fletching::server {

// Lifetime: `engine` outlives whatever reads `metrics`.
void AddMetricSources(const Engine* engine, const std::string& data_dir, Metrics* metrics);

}  // namespace fletching::server
