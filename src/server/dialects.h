// Settings under the names that older programs gave them, so that their files start this one too.
#pragma once

#include <string>
#include <string_view>

#include "fletching/status.h"

#include "server/config.h"

namespace fletching::server {

struct DialectSetting {
  std::string_view path;  // "server.http.port"; one that ends in ".*" stands for all below
  // Null: taken and left alone, because what it tunes does not exist here; `why` says so.
  Status (*read)(std::string_view text, ServerConfig* config);
  std::string_view why;
};

// nullptr when no dialect has it.
const DialectSetting* FindDialectSetting(std::string_view path);

}  // namespace fletching::server
