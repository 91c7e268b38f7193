#include "server/dialects.h"

#include <array>
#include <charconv>

#include "server/settings.h"

namespace fletching::server {
namespace {

using Config = ServerConfig;

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

Status ReadFlightHost(std::string_view text, Config* config) {
  return ReadHost(text, &config->flight.host);
}
Status ReadFlightPort(std::string_view text, Config* config) {
  return ReadPort(text, &config->flight.port);
}

// A setting of ours under another name.
template <const auto& path>
Status ReadOurs(std::string_view text, Config* config) {
  return FindSetting(path)->read(text, config);
}
constexpr char kDataDir[] = "data_dir";
constexpr char kBody[] = "limits.body";
constexpr char kRemote[] = "remote.url";

constexpr std::string_view kAlwaysMapped =
    "segments are always mapped, and their index is part of them";

constexpr auto kDialects = std::to_array<DialectSetting>({
    {"remote", ReadOurs<kRemote>, ""},  // short for remote.url
    // The first plan of the older generation.
    {"server.host", ReadHttpHost, ""},
    {"server.port", ReadHttpPort, ""},
    {"server.data_dir", ReadOurs<kDataDir>, ""},
    // Murr 0.2 and 0.3.
    {"server.http.host", ReadHttpHost, ""},
    {"server.http.port", ReadHttpPort, ""},
    {"server.http.max_payload_size", ReadOurs<kBody>, ""},
    {"server.grpc.host", ReadFlightHost, ""},
    {"server.grpc.port", ReadFlightPort, ""},
    {"storage.path", ReadOurs<kDataDir>, ""},
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
