// Lines of JSON on stderr, one per event. Never bodies, keys or values of users.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <variant>

#include "server/config.h"

namespace spdlog {
class logger;
}

namespace fletching::server {

// Threads: any.
class Log {
 public:
  struct Field {
    std::string_view name;
    std::variant<int64_t, std::string_view> value;
  };

  explicit Log(LogLevel least);
  // {"time": "2024-02-29T23:59:59.123Z", "level": "info", "event": "listening", ...}
  void Write(LogLevel level, std::string_view event, std::initializer_list<Field> fields = {});

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace fletching::server
