// One life of the server: opens the store, opens the door, waits for a signal, winds down.
#pragma once

#include <string>
#include <vector>

#include "fletching/status.h"

#include "server/config.h"

namespace fletching::server {

// Returns after SIGTERM or SIGINT, which the caller's threads must all block, as SIGHUP, which has
// keys read again; without keys it ends the server too. A second signal, or
// a shutdown longer than five seconds, ends the process at once: what was acknowledged is durable.
// Errors: what kept it from starting, in words for whoever starts it.
Status Serve(const LoadedConfig& loaded);

}  // namespace fletching::server
