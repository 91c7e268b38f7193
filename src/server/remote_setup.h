// The object store behind a server, as the settings have it: nothing, a writer's, or a replica's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fletching/fwd.h"
#include "fletching/options.h"
#include "fletching/status.h"

#include "server/config.h"
#include "server/log.h"

namespace fletching {
class Metrics;
}

namespace fletching::server {

// Made before the engine, which asks it for leave to write; joined to it afterwards.
class RemoteSetup {
 public:
  // Errors: those of the URL, of the data folder, of the store. Lifetime: metrics and log outlive
  // it.
  static Result<std::unique_ptr<RemoteSetup>> Make(const ServerConfig& config, Metrics* metrics,
                                                   Log* log);
  ~RemoteSetup();

  // Adds what the engine has to know.
  void Prepare(EngineOptions* options);
  // Begins to publish or to follow. Lifetime: the engine outlives what is begun, up to Stop.
  Status Start(Engine* engine);
  // Reads that wait for the remote fail from now on.
  void EndFetches();
  void Stop();

  // Whether a read may wait for what is not on this disk.
  bool reads_may_wait() const;
  std::string WhyNotReady() const;  // "" when ready
  std::vector<std::string> Problems() const;

 private:
  class Impl;
  explicit RemoteSetup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// --promote: makes the data folder the writer's. -> one line of JSON that says what was done.
Result<std::string> PromoteNode(const ServerConfig& config);

}  // namespace fletching::server
