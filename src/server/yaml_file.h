// A YAML file as the settings it holds, but for the tables (table_settings.h).
#pragma once

#include <string>
#include <vector>

#include "fletching/status.h"

namespace fletching::server {

struct YamlSetting {
  std::string path;   // "limits.body"
  std::string value;  // as written
  int line = 0;       // from one
};

// Errors: kNotFound; kInvalidArgument naming file and line: not YAML, a list where a value is
// expected, a key given twice.
Result<std::vector<YamlSetting>> ReadYamlFile(const std::string& path);

}  // namespace fletching::server
