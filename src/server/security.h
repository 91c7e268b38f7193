// Who may reach the doors: keys, certificates, and what is refused without them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "fletching/status.h"

#include "access/guard.h"

namespace fletching {
class Metrics;
}

namespace fletching::server {

class Log;
struct ServerConfig;

struct SecurityConfig {
  std::string keys_file;
  bool insecure = false;
};

// Readers and writers of these settings, for the table of settings.
Status ReadKeysFile(std::string_view text, ServerConfig* config);
std::string ShowKeysFile(ServerConfig& config);
Status ReadInsecure(std::string_view text, ServerConfig* config);
std::string ShowInsecure(ServerConfig& config);

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
  // Of a door on `host`: on the loopback its metrics are for everybody.
  const access::Guard* MetricsGuard(const std::string& host) const;
  // After SIGHUP: reads the files again. Whoever is connected stays so. False: there is nothing to
  // read again, so the signal means what it means elsewhere.
  bool Reload();

 private:
  explicit Security(Log* log) : log_(log) {}
  void WarnOfExposedKeys(const std::string& file) const;

  Log* const log_;
  std::string keys_file_;
  std::unique_ptr<access::Guard> guard_;
};

}  // namespace fletching::server
