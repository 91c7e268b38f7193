#include "server/dialects.h"

#include <array>
#include <charconv>

#include "api/unit_text.h"

namespace fletching::server {
namespace {

using Config = ServerConfig;

Status ReadDataDir(std::string_view text, Config* config) {
  if (text.empty()) return InvalidArgument("the data folder has no name");
  config->data_dir = text;
  return Status::OK();
}

Status ReadHost(std::string_view text, std::string* host) {
  if (text.empty()) return InvalidArgument("the host has no name");
  *host = text;
  return Status::OK();
}

Status ReadPort(std::string_view text, uint16_t* port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *port);
  if (error == std::errc() && end == text.data() + text.size()) return Status::OK();
  return InvalidArgument("'" + std::string(text) + "' is no port");
}

Status ReadHttpHost(std::string_view text, Config* config) {
  return ReadHost(text, &config->http.host);
}
Status ReadHttpPort(std::string_view text, Config* config) {
  return ReadPort(text, &config->http.port);
}

// A number of bytes, as the older programs have it.
Status ReadPayload(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes, api::ParseBytes(text));
  if (bytes < 1) return InvalidArgument("0 would refuse everything");
  config->http.limits.data_bytes_max = bytes;
  return Status::OK();
}

constexpr std::string_view kAlwaysMapped =
    "segments are always mapped, and their index is part of them";

Status ReadRemote(std::string_view text, Config* config) {
  config->remote.url = text;
  return Status::OK();
}

constexpr auto kDialects = std::to_array<DialectSetting>({
    {"remote", ReadRemote, ""},  // short for remote.url
    // The first plan of the older generation.
    {"server.host", ReadHttpHost, ""},
    {"server.port", ReadHttpPort, ""},
    {"server.data_dir", ReadDataDir, ""},
    // Murr 0.2 and 0.3.
    {"server.http.host", ReadHttpHost, ""},
    {"server.http.port", ReadHttpPort, ""},
    {"server.http.max_payload_size", ReadPayload, ""},
    {"storage.path", ReadDataDir, ""},
    {"storage.mmap", nullptr, kAlwaysMapped},
    {"storage.mmap.*", nullptr, kAlwaysMapped},
    {"storage.block", nullptr, kAlwaysMapped},
    {"storage.block.*", nullptr, kAlwaysMapped},
});

bool Fits(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with(".*")) return pattern == path;
  return path.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

const DialectSetting* FindDialectSetting(std::string_view path) {
  for (const DialectSetting& setting : kDialects) {
    if (Fits(setting.path, path)) return &setting;
  }
  return nullptr;
}

}  // namespace fletching::server
