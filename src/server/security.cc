#include "server/security.h"

#include <arpa/inet.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <signal.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

#include "server/config.h"
#include "server/log.h"

namespace fletching::server {
namespace {

constexpr char kInsecureWarning[] =
    "no keys are asked for: whoever reaches a door may read, change and drop every table";

bool IsLoopback(const sockaddr& name) {
  if (name.sa_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(name);
    return (ntohl(four.sin_addr.s_addr) >> 24) == 127;
  }
  const in6_addr& six = reinterpret_cast<const sockaddr_in6&>(name).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

// "HTTP on 0.0.0.0", or nothing.
std::optional<std::string> ReachableDoor(const ServerConfig& config) {
  if (IsReachable(config.http.host)) return "HTTP on " + config.http.host;
  if (config.flight_on && IsReachable(config.flight.host)) {
    return "Flight on " + config.flight.host;
  }
  if (!config.metrics.host.empty() && IsReachable(config.metrics.host)) {
    return "metrics on " + config.metrics.host;
  }
  return std::nullopt;
}

}  // namespace

Status ReadKeysFile(std::string_view text, ServerConfig* config) {
  config->security.keys_file = text == "none" ? "" : text;
  return Status::OK();
}
std::string ShowKeysFile(ServerConfig& config) {
  return config.security.keys_file.empty() ? "none" : config.security.keys_file;
}

Status ReadInsecure(std::string_view text, ServerConfig* config) {
  if (text != "true" && text != "false") {
    return InvalidArgument("'" + std::string(text) + "' is neither true nor false");
  }
  config->security.insecure = text == "true";
  return Status::OK();
}
std::string ShowInsecure(ServerConfig& config) {
  return config.security.insecure ? "true" : "false";
}

bool IsReachable(const std::string& host) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (!IsLoopback(*at->ai_addr)) return true;
  }
  return false;
}

Status CheckExposure(const ServerConfig& config) {
  if (!config.security.keys_file.empty() || config.security.insecure) return Status::OK();
  const std::optional<std::string> door = ReachableDoor(config);
  if (!door.has_value()) return Status::OK();
  return InvalidArgument(
      *door +
      " can be reached from other machines, where anybody could read, change and drop tables. "
      "Either ask for keys: --keys-file FILE, with lines that `fletching keygen` prints; or, if "
      "all who reach it may do so, say --insecure");
}

Result<std::unique_ptr<Security>> Security::Open(const ServerConfig& config, Metrics* metrics,
                                                 Log* log) {
  ARROW_RETURN_NOT_OK(CheckExposure(config));
  auto security = std::unique_ptr<Security>(new Security(log));
  security->keys_file_ = config.security.keys_file;
  if (!security->keys_file_.empty()) {
    ARROW_ASSIGN_OR_RAISE(security->guard_, access::Guard::Open(security->keys_file_, metrics));
    security->WarnOfExposedKeys(security->keys_file_);
  } else if (ReachableDoor(config).has_value()) {
    log->Write(LogLevel::kWarning, "insecure", {{"text", kInsecureWarning}});
  }
  return security;
}

const access::Guard* Security::MetricsGuard(const std::string& host) const {
  return IsReachable(host) ? guard_.get() : nullptr;
}

bool Security::Reload() {
  struct sigaction action = {};
  // nohup says so.
  if (guard_ == nullptr) {
    return ::sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  if (const Status status = guard_->Reload(); !status.ok()) {
    log_->Write(LogLevel::kError, "keys_kept",
                {{"text", "the keys of before stay: " + status.message()}});
    return true;
  }
  log_->Write(LogLevel::kInfo, "keys_loaded",
              {{"file", keys_file_}, {"keys", static_cast<int64_t>(guard_->key_count())}});
  WarnOfExposedKeys(keys_file_);
  return true;
}

void Security::WarnOfExposedKeys(const std::string& file) const {
  if (!guard_->is_exposed()) return;
  log_->Write(LogLevel::kWarning, "keys_exposed",
              {{"file", file}, {"text", "other users can read or change this file; chmod 640"}});
}

}  // namespace fletching::server
