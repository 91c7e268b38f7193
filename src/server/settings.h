// Every setting once: its name in the YAML file, from which the variable and the flag follow, what
// it means, and how its text is read.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "server/config.h"

namespace fletching::server {

struct Setting {
  std::string_view path;   // "limits.body" -> FLETCHING_LIMITS_BODY, --limits-body
  std::string_view value;  // what stands for the value in --help: "SIZE"
  std::string_view help;
  Status (*read)(std::string_view text, ServerConfig* config);
  std::string (*show)(ServerConfig& config);
};

std::span<const Setting> Settings();

// nullptr when there is none.
const Setting* FindSetting(std::string_view path);

std::string VariableOf(const Setting& setting);  // "FLETCHING_DATA_DIR"
std::string FlagOf(const Setting& setting);      // "--data-dir"

}  // namespace fletching::server
