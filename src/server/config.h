// What fletchingd can be told, from four places of rising precedence: defaults, a YAML file,
// environment variables, flags. One table of settings (settings.h) serves all of them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fletching/status.h"

#include "api/flight/flight_server.h"
#include "api/http/http_server.h"
#include "api/http/listener.h"
#include "pull/pulled_table.h"
#include "server/security.h"
#include "sql/sql_door.h"

namespace fletching::server {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

enum class RemoteRole : uint8_t { kWriter, kReplica };
enum class Acknowledge : uint8_t { kLocal, kRemote };

// Where the truth lies when it is not this node's disk.
struct RemoteConfig {
  std::string url;  // "s3://bucket/prefix", "file:///mnt/share"; empty: there is none
  std::string endpoint;
  std::string region;
  RemoteRole role = RemoteRole::kWriter;
  // What an acknowledged write has reached: this disk, or the remote.
  Acknowledge acknowledge = Acknowledge::kLocal;
  int64_t acknowledge_ms_max = 30'000;
  int64_t publish_interval_ms = 1'000;  // of a writer
  int64_t poll_interval_ms = 1'000;     // of a replica
  int64_t keep_deleted_ms = 3'600'000;  // objects that nothing names any more
  // Of a replica: how much of the remote its disk may hold, 0 = all; and whether rows are fetched
  // when they are read instead of segments when they are new.
  int64_t cache_bytes = 0;
  bool lazy = false;
};

struct ServerConfig {
  std::string data_dir = "fletching-data";
  int64_t memory_budget_bytes = 0;  // as EngineOptions
  http::HttpServerOptions http;
  // A port that serves /metrics alone; no host = none. The HTTP door has /metrics besides.
  http::HostPort metrics;
  bool flight_on = true;
  flight::FlightServerOptions flight;  // limits are those of `http`
  SecurityConfig security;
  LogLevel log_level = LogLevel::kInfo;
  bool log_requests = false;
  sql::SqlOptions sql;                    // queries_max 0: no SQL
  std::vector<pull::PulledTable> tables;  // of the file
  RemoteConfig remote;
  bool promotes = false;  // --promote: make this folder the writer's, and end
  // After a signal: how long readiness already fails while everything is still served, so that
  // a balancer looks elsewhere before the door closes; then how long requests may take to finish.
  int64_t shutdown_notice_ms = 500;
  int64_t shutdown_grace_ms = 3'500;
};

struct LoadedConfig {
  ServerConfig config;
  std::vector<std::string> warnings;  // unknown environment variables
  // Not empty: print it on stdout and end well (--help, --version, --print-config).
  std::string answer;
};

// `environment`: "NAME=value" each, only FLETCHING_* are looked at.
// Errors: kInvalidArgument naming file and line, variable or flag, with the nearest known name;
// kNotFound for a file that is not there.
Result<LoadedConfig> LoadConfig(std::span<const std::string_view> arguments,
                                std::span<const std::string_view> environment);

}  // namespace fletching::server
