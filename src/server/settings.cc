#include "server/settings.h"

#include <array>
#include <charconv>

#include "api/http/listener.h"
#include "api/unit_text.h"
#include "base/nearest_name.h"
#include "server/security.h"

namespace fletching::server {
namespace {

using Config = ServerConfig;

// Where each number lives. Settings that hold a size, a duration or a count differ only in this.
int64_t& MemoryBytes(Config& config) { return config.memory_budget_bytes; }
int64_t& SqlBytes(Config& config) { return config.sql.duck.memory_bytes_max; }
int64_t& SqlMs(Config& config) { return config.sql.timeout_ms_max; }
int64_t& BodyBytes(Config& config) { return config.http.limits.data_bytes_max; }
int64_t& JsonBytes(Config& config) { return config.http.handlers.json_bytes_max; }
int64_t& KeysBytes(Config& config) { return config.http.limits.keys_bytes_max; }
int64_t& HeaderBytes(Config& config) { return config.http.limits.header_bytes_max; }
int64_t& Connections(Config& config) { return config.http.connections_max; }
int64_t& Requests(Config& config) { return config.http.limits.requests_max; }
int64_t& HeaderMs(Config& config) { return config.http.limits.header_ms_max; }
int64_t& StallMs(Config& config) { return config.http.limits.stall_ms_max; }
int64_t& IdleMs(Config& config) { return config.http.limits.idle_ms_max; }
int64_t& NoticeMs(Config& config) { return config.shutdown_notice_ms; }
int64_t& GraceMs(Config& config) { return config.shutdown_grace_ms; }
int64_t& AcknowledgeMs(Config& config) { return config.remote.acknowledge_ms_max; }
int64_t& PublishMs(Config& config) { return config.remote.publish_interval_ms; }
int64_t& PollMs(Config& config) { return config.remote.poll_interval_ms; }
int64_t& KeepDeletedMs(Config& config) { return config.remote.keep_deleted_ms; }
int64_t& CacheBytes(Config& config) { return config.remote.cache_bytes; }
bool& LogRequests(Config& config) { return config.log_requests; }
bool& Lazy(Config& config) { return config.remote.lazy; }
int& IoThreads(Config& config) { return config.http.io_threads; }
int& SqlQueries(Config& config) { return config.sql.queries_max; }
int& SqlThreads(Config& config) { return config.sql.duck.threads; }
std::string& SqlLibrary(Config& config) { return config.sql.duck.library; }
int& WriteThreads(Config& config) { return config.http.worker_threads; }

using Number = int64_t& (*)(Config&);

template <Number where>
Status ReadSize(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const int64_t bytes, api::ParseBytes(text));
  if (bytes < 1) return InvalidArgument("0 would refuse everything");
  where(*config) = bytes;
  return Status::OK();
}
template <Number where>
std::string ShowSize(Config& config) {
  return api::FormatBytes(where(config));
}

template <Number where>
Status ReadDuration(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(where(*config), api::ParseDurationMs(text));
  return Status::OK();
}
template <Number where>
std::string ShowDuration(Config& config) {
  return api::FormatDurationMs(where(config));
}

template <auto where, int64_t least, int64_t most>
Status ReadCount(std::string_view text, Config* config) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    return InvalidArgument("'" + std::string(text) + "' is no whole number from " +
                           std::to_string(least) + " to " + std::to_string(most));
  }
  auto& target = where(*config);
  target = static_cast<std::remove_reference_t<decltype(target)>>(number);
  return Status::OK();
}
template <auto where>
std::string ShowCount(Config& config) {
  return std::to_string(where(config));
}

Result<size_t> ReadChoice(std::string_view text, std::span<const std::string_view> words) {
  std::string all;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == text) return i;
    all.append(all.empty() ? "" : ", ").append(words[i]);
  }
  return InvalidArgument("'" + std::string(text) + "' is none of " + all + DidYouMean(text, words));
}

Status ReadDataDir(std::string_view text, Config* config) {
  if (text.empty()) return InvalidArgument("the data folder has no name");
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  config->data_dir = text;
  return Status::OK();
}
std::string ShowDataDir(Config& config) { return config.data_dir; }

Status ReadListen(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(http::HostPort parsed, http::ParseHostPort(text));
  config->http.host = parsed.host;
  config->http.port = parsed.port;
  return Status::OK();
}
std::string ShowAddress(const std::string& host, uint16_t port) {
  const bool six = host.find(':') != std::string::npos;
  return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}
std::string ShowListen(Config& config) { return ShowAddress(config.http.host, config.http.port); }

// A bare number is a port of the loopback, as the older configuration files have it; "off" undoes
// what a file says.
Status ReadMetrics(std::string_view text, Config* config) {
  if (text == "off") {
    config->metrics = {};
    return Status::OK();
  }
  const bool bare = text.find(':') == std::string_view::npos;
  ARROW_ASSIGN_OR_RAISE(config->metrics,
                        http::ParseHostPort((bare ? ":" : "") + std::string(text)));
  return Status::OK();
}
std::string ShowMetrics(Config& config) {
  if (config.metrics.host.empty()) return "off";
  return ShowAddress(config.metrics.host, config.metrics.port);
}

constexpr std::string_view kOff = "off";
Status ReadFlight(std::string_view text, Config* config) {
  config->flight_on = text != kOff;
  if (!config->flight_on) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(http::HostPort parsed, http::ParseHostPort(text));
  config->flight.host = parsed.host;
  config->flight.port = parsed.port;
  return Status::OK();
}
std::string ShowFlight(Config& config) {
  return config.flight_on ? ShowAddress(config.flight.host, config.flight.port) : std::string(kOff);
}

constexpr std::array<std::string_view, 3> kEchoes = {"created", "head", "seed"};
Status ReadEcho(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const size_t choice, ReadChoice(text, kEchoes));
  config->http.handlers.schema_echo = static_cast<api::SchemaEcho>(choice);
  return Status::OK();
}
std::string ShowEcho(Config& config) {
  return std::string(kEchoes[static_cast<size_t>(config.http.handlers.schema_echo)]);
}

constexpr std::array<std::string_view, 4> kLevels = {"debug", "info", "warning", "error"};
Status ReadLevel(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const size_t choice, ReadChoice(text, kLevels));
  config->log_level = static_cast<LogLevel>(choice);
  return Status::OK();
}
std::string ShowLevel(Config& config) {
  return std::string(kLevels[static_cast<size_t>(config.log_level)]);
}

constexpr std::array<std::string_view, 2> kSwitch = {"false", "true"};
template <auto where>
Status ReadSwitch(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const size_t choice, ReadChoice(text, kSwitch));
  where(*config) = choice == 1;
  return Status::OK();
}
template <auto where>
std::string ShowSwitch(Config& config) {
  return std::string(kSwitch[where(config) ? 1 : 0]);
}

template <auto where>
Status ReadText(std::string_view text, Config* config) {
  where(*config) = text;
  return Status::OK();
}
template <auto where>
std::string ShowText(Config& config) {
  return where(config);
}
std::string& RemoteUrl(Config& config) { return config.remote.url; }
std::string& RemoteEndpoint(Config& config) { return config.remote.endpoint; }
std::string& RemoteRegion(Config& config) { return config.remote.region; }

constexpr std::array<std::string_view, 2> kRoles = {"writer", "replica"};
Status ReadRole(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const size_t choice, ReadChoice(text, kRoles));
  config->remote.role = static_cast<RemoteRole>(choice);
  return Status::OK();
}
std::string ShowRole(Config& config) {
  return std::string(kRoles[static_cast<size_t>(config.remote.role)]);
}

constexpr std::string_view kAll = "all";
template <Number where>  // 0 = no limit
Status ReadLimit(std::string_view text, Config* config) {
  where(*config) = 0;
  return text == kAll ? Status::OK() : ReadSize<where>(text, config);
}
template <Number where>
std::string ShowLimit(Config& config) {
  return where(config) == 0 ? std::string(kAll) : ShowSize<where>(config);
}
constexpr std::array<std::string_view, 2> kLevelsOfAcknowledgement = {"local", "remote"};
Status ReadAcknowledge(std::string_view text, Config* config) {
  ARROW_ASSIGN_OR_RAISE(const size_t choice, ReadChoice(text, kLevelsOfAcknowledgement));
  config->remote.acknowledge = static_cast<Acknowledge>(choice);
  return Status::OK();
}
std::string ShowAcknowledge(Config& config) {
  return std::string(kLevelsOfAcknowledgement[static_cast<size_t>(config.remote.acknowledge)]);
}

constexpr auto kSettings = std::to_array<Setting>({
    {"data_dir", "FOLDER", "Where tables live; made when missing", ReadDataDir, ShowDataDir},
    {"memory_budget", "SIZE", "Memory for rows; others are read from the disk. all: no limit",
     ReadLimit<MemoryBytes>, ShowLimit<MemoryBytes>},
    {"http.listen", "HOST:PORT", "Address of the HTTP door; port 0 takes any free one", ReadListen,
     ShowListen},
    {"http.threads", "N", "Threads that move bytes; 0 is one per core, 8 at most",
     ReadCount<IoThreads, 0, 256>, ShowCount<IoThreads>},
    {"http.write_threads", "N", "Writes under way at a time; they share their syncs",
     ReadCount<WriteThreads, 1, 1024>, ShowCount<WriteThreads>},
    {"flight.listen", "HOST:PORT", "Address of the Flight door; off: there is none", ReadFlight,
     ShowFlight},
    {"limits.body", "SIZE", "Longest body of a write", ReadSize<BodyBytes>, ShowSize<BodyBytes>},
    {"limits.json_body", "SIZE", "Longest JSON body of a write; it is decoded whole",
     ReadSize<JsonBytes>, ShowSize<JsonBytes>},
    {"limits.keys_body", "SIZE", "Longest body of a fetch or delete; of a Flight ticket",
     ReadSize<KeysBytes>, ShowSize<KeysBytes>},
    {"limits.header", "SIZE", "Longest request header", ReadSize<HeaderBytes>,
     ShowSize<HeaderBytes>},
    {"limits.connections", "N", "Open connections; one more is answered 503",
     ReadCount<Connections, 1, 1'000'000>, ShowCount<Connections>},
    {"limits.requests", "N", "Requests in flight, at each door; one more is answered 503",
     ReadCount<Requests, 1, 1'000'000>, ShowCount<Requests>},
    {"limits.header_time", "TIME", "Time for a header to arrive", ReadDuration<HeaderMs>,
     ShowDuration<HeaderMs>},
    {"limits.stall_time", "TIME", "Time without a byte moving in a body or an answer",
     ReadDuration<StallMs>, ShowDuration<StallMs>},
    {"limits.idle_time", "TIME", "Time a connection may wait between requests",
     ReadDuration<IdleMs>, ShowDuration<IdleMs>},
    {"sql.queries", "N", "SQL queries at a time, one more is answered 503; 0: no SQL",
     ReadCount<SqlQueries, 0, 1024>, ShowCount<SqlQueries>},
    {"sql.memory", "SIZE", "Memory of all queries together; more goes to the data folder",
     ReadSize<SqlBytes>, ShowSize<SqlBytes>},
    {"sql.threads", "N", "Threads of all queries together", ReadCount<SqlThreads, 1, 1024>,
     ShowCount<SqlThreads>},
    {"sql.timeout", "TIME", "Time of a query until its last row was read", ReadDuration<SqlMs>,
     ShowDuration<SqlMs>},
    {"sql.library", "FILE", "A libduckdb.so; else that of Python's package duckdb is looked for",
     ReadText<SqlLibrary>, ShowText<SqlLibrary>},
    {"metrics.prometheus_port", "HOST:PORT",
     "A port for /metrics alone, such as :9090; off is none", ReadMetrics, ShowMetrics},
    {"security.keys_file", "FILE", "Keys that callers need; `fletching keygen` prints its lines",
     ReadKeysFile, ShowKeysFile},
    {"security.insecure", "BOOL", "Doors may be reached from elsewhere without keys", ReadInsecure,
     ShowInsecure},
    {"security.tls_cert", "FILE", "Certificates in PEM, the server's first: TLS at both doors",
     ReadTlsCertificate, ShowTlsCertificate},
    {"security.tls_key", "FILE", "The private key of the first, in PEM", ReadTlsKey, ShowTlsKey},
    {"shutdown.notice", "TIME", "After a signal, time of /readyz failing before the door closes",
     ReadDuration<NoticeMs>, ShowDuration<NoticeMs>},
    {"shutdown.grace", "TIME", "Time for requests under way to finish after that",
     ReadDuration<GraceMs>, ShowDuration<GraceMs>},
    {"remote.url", "URL", "Where the truth lies: s3://bucket/prefix; nothing is this disk",
     ReadText<RemoteUrl>, ShowText<RemoteUrl>},
    {"remote.endpoint", "URL", "Of an S3 that is not Amazon's, such as http://127.0.0.1:7070",
     ReadText<RemoteEndpoint>, ShowText<RemoteEndpoint>},
    {"remote.region", "NAME", "Of the bucket; else AWS_REGION, else us-east-1",
     ReadText<RemoteRegion>, ShowText<RemoteRegion>},
    {"remote.role", "ROLE", "writer, or replica: follows what the writer puts there", ReadRole,
     ShowRole},
    {"remote.acknowledge", "LEVEL", "What an acknowledged write has reached: local or remote",
     ReadAcknowledge, ShowAcknowledge},
    {"remote.acknowledge_time", "TIME", "How long a write waits for the remote before it fails",
     ReadDuration<AcknowledgeMs>, ShowDuration<AcknowledgeMs>},
    {"remote.publish_interval", "TIME", "How often a writer uploads what is new",
     ReadDuration<PublishMs>, ShowDuration<PublishMs>},
    {"remote.poll_interval", "TIME", "How often a replica looks", ReadDuration<PollMs>,
     ShowDuration<PollMs>},
    {"remote.cache", "SIZE", "How much disk a replica's segments may take; all sets no limit",
     ReadLimit<CacheBytes>, ShowLimit<CacheBytes>},
    {"remote.lazy", "BOOL", "A replica fetches rows when they are read, no whole segments",
     ReadSwitch<Lazy>, ShowSwitch<Lazy>},
    {"remote.keep_deleted", "TIME", "How long objects stay that nothing names any more",
     ReadDuration<KeepDeletedMs>, ShowDuration<KeepDeletedMs>},
    {"compat.schema", "FORM", "How schemas are shown: created, head or seed", ReadEcho, ShowEcho},
    {"log.level", "LEVEL", "debug, info, warning or error", ReadLevel, ShowLevel},
    {"log.requests", "BOOL", "true: one line for every request", ReadSwitch<LogRequests>,
     ShowSwitch<LogRequests>},
});

std::string Replaced(std::string_view path, char other, bool upper) {
  std::string text;
  for (const char letter : path) {
    const bool separator = letter == '.' || letter == '_';
    const bool lower = letter >= 'a' && letter <= 'z';
    text += separator ? other : upper && lower ? static_cast<char>(letter - 'a' + 'A') : letter;
  }
  return text;
}

// The door's address is named by the door, in flags and variables: --http, --flight, --metrics;
// --remote likewise.
std::string_view Stem(const Setting& setting) {
  std::string_view path = setting.path;
  for (const std::string_view ending : {".listen", ".prometheus_port", ".url"}) {
    if (path.ends_with(ending)) path.remove_suffix(ending.size());
  }
  return path;
}

}  // namespace

std::span<const Setting> Settings() { return kSettings; }

const Setting* FindSetting(std::string_view path) {
  for (const Setting& setting : kSettings) {
    if (setting.path == path) return &setting;
  }
  return nullptr;
}

std::string VariableOf(const Setting& setting) {
  return "FLETCHING_" + Replaced(Stem(setting), '_', true);
}

// --keys-file, --insecure: these are said often, and by hand.
std::string FlagOf(const Setting& setting) {
  std::string_view stem = Stem(setting);
  if (stem.starts_with("security.")) stem.remove_prefix(stem.find('.') + 1);
  return "--" + Replaced(stem, '-', false);
}

}  // namespace fletching::server
