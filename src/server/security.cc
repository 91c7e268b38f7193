#include "server/security.h"

#include <arpa/inet.h>
#include <fstream>
#include <iterator>
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

constexpr char kClearWarning[] =
    "keys and rows travel in clear text: give --tls-cert and --tls-key, or let a proxy end TLS";
constexpr std::string_view kNone = "none";

std::string Shown(const std::string& file) { return file.empty() ? std::string(kNone) : file; }

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
  config->security.keys_file = text == kNone ? "" : text;
  return Status::OK();
}
std::string ShowKeysFile(ServerConfig& config) { return Shown(config.security.keys_file); }

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

Status ReadTlsCertificate(std::string_view text, ServerConfig* config) {
  config->security.tls_certificate = text == kNone ? "" : text;
  return Status::OK();
}
std::string ShowTlsCertificate(ServerConfig& config) {
  return Shown(config.security.tls_certificate);
}

Status ReadTlsKey(std::string_view text, ServerConfig* config) {
  config->security.tls_key = text == kNone ? "" : text;
  return Status::OK();
}
std::string ShowTlsKey(ServerConfig& config) { return Shown(config.security.tls_key); }

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
  const SecurityConfig& wanted = config.security;
  if (wanted.tls_certificate.empty() != wanted.tls_key.empty()) {
    return InvalidArgument("a certificate and its key go together: give --tls-cert and --tls-key");
  }
  auto security = std::unique_ptr<Security>(new Security(log));
  security->config_ = wanted;
  const bool reachable = ReachableDoor(config).has_value();
  if (!wanted.tls_certificate.empty()) {
    ARROW_ASSIGN_OR_RAISE(security->tls_,
                          tls::TlsIdentity::Open(wanted.tls_certificate, wanted.tls_key));
  }
  if (!wanted.keys_file.empty()) {
    ARROW_ASSIGN_OR_RAISE(security->guard_, access::Guard::Open(wanted.keys_file, metrics));
    security->WarnOfExposedKeys();
    if (reachable && security->tls_ == nullptr) {
      log->Write(LogLevel::kWarning, "clear_text", {{"text", kClearWarning}});
    }
  } else if (reachable) {
    log->Write(LogLevel::kWarning, "insecure", {{"text", kInsecureWarning}});
  }
  return security;
}

Result<flight::TlsPem> Security::ReadTlsFiles() const {
  const auto read = [](const std::string& file) -> Result<std::string> {
    std::ifstream stream(file, std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (!stream || text.empty()) return Unavailable("cannot read " + file);
    return text;
  };
  flight::TlsPem pem;
  if (tls_ == nullptr) return pem;
  ARROW_ASSIGN_OR_RAISE(pem.certificate, read(config_.tls_certificate));
  ARROW_ASSIGN_OR_RAISE(pem.key, read(config_.tls_key));
  return pem;
}

bool Security::Reload() {
  if (guard_ == nullptr && tls_ == nullptr) {
    struct sigaction action = {};
    // nohup says so.
    return ::sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  }
  if (guard_ != nullptr) ReloadKeys();
  if (tls_ != nullptr) ReloadCertificate();
  return true;
}

void Security::ReloadKeys() {
  if (const Status status = guard_->Reload(); !status.ok()) {
    log_->Write(LogLevel::kError, "keys_kept",
                {{"text", "the keys of before stay: " + status.message()}});
    return;
  }
  log_->Write(LogLevel::kInfo, "keys_loaded",
              {{"file", config_.keys_file}, {"keys", static_cast<int64_t>(guard_->key_count())}});
  WarnOfExposedKeys();
}

void Security::ReloadCertificate() {
  if (const Status status = tls_->Reload(); !status.ok()) {
    log_->Write(LogLevel::kError, "certificate_kept",
                {{"text", "the certificate of before stays: " + status.message()}});
    return;
  }
  log_->Write(LogLevel::kInfo, "certificate_loaded", {{"file", config_.tls_certificate}});
}

void Security::WarnOfExposedKeys() const {
  if (!guard_->is_exposed()) return;
  log_->Write(LogLevel::kWarning, "keys_exposed",
              {{"file", config_.keys_file},
               {"text", "other users can read or change this file; chmod 640"}});
}

}  // namespace fletching::server
