// Who may reach the doors: keys, certificates, and what is refused without them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "access/guard.h"
#include "api/flight/flight_server.h"
#include "tls/tls_context.h"

namespace fletching {
class Metrics;
}

namespace fletching::server {

class Log;
struct ServerConfig;

struct SecurityConfig {
  std::string keys_file = {};
  bool insecure = false;
  std::string tls_certificate = {};  // with its key: both or none
  std::string tls_key = {};
};

// Readers and writers of these settings, for the table of settings.
Status ReadKeysFile(std::string_view text, ServerConfig* config);
std::string ShowKeysFile(ServerConfig& config);
Status ReadInsecure(std::string_view text, ServerConfig* config);
std::string ShowInsecure(ServerConfig& config);
Status ReadTlsCertificate(std::string_view text, ServerConfig* config);
std::string ShowTlsCertificate(ServerConfig& config);
Status ReadTlsKey(std::string_view text, ServerConfig* config);
std::string ShowTlsKey(ServerConfig& config);

// A door that other machines can reach needs keys, or the word that it does not.
// Errors: kInvalidArgument naming the door and both ways out.
Status CheckExposure(const ServerConfig& config);

// False for a name that cannot be looked up: listening on it says why.
bool IsReachable(const std::string& host);

class Security {
 public:
  // Errors: those of CheckExposure, Guard::Open. Lifetime: `metrics` and `log` outlive it.
  static Result<std::unique_ptr<Security>> Open(const ServerConfig& config, Metrics* metrics,
                                                Log* log);

  const access::Guard* guard() const { return guard_.get(); }  // null: no keys
  const tls::TlsIdentity* tls() const { return tls_.get(); }   // null: plain text
  // Files in PEM as they are now. Errors: kUnavailable.
  Result<flight::TlsPem> ReadTlsFiles() const;
  // After SIGHUP: reads the files again. Whoever is connected stays so; Flight keeps its
  // certificate until it is started again. False: there is nothing to read, so the signal means
  // what it means elsewhere.
  bool Reload();

 private:
  explicit Security(Log* log) : log_(log) {}
  void ReloadKeys();
  void ReloadCertificate();
  void WarnOfExposedKeys() const;

  Log* const log_;
  SecurityConfig config_;
  std::unique_ptr<access::Guard> guard_;
  std::unique_ptr<tls::TlsIdentity> tls_;
};

}  // namespace fletching::server
