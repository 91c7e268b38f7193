// fletchingd: tables of features over HTTP. See `fletchingd --help`.
#include <cstdio>
#include <signal.h>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "server/allocators.h"
#include "server/config.h"
#include "server/remote_setup.h"
#include "server/wiring.h"

int main(int argc, char** argv) {
  using fletching::Status;
  // Before any thread exists, so that every one inherits it: signals go to the one that waits.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a client that hangs up is an error of one write

  std::vector<std::string_view> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  const std::vector<std::string_view> arguments(argv + 1, argv + argc);
  const auto loaded = fletching::server::LoadConfig(arguments, environment);
  if (!loaded.ok()) {
    std::fprintf(stderr, "fletchingd: %s\n", loaded.status().message().c_str());
    return 2;
  }
  if (!loaded->answer.empty()) {
    std::fputs(loaded->answer.c_str(), stdout);
    return 0;
  }
  if (loaded->config.promotes) {
    const auto promoted = fletching::server::PromoteNode(loaded->config);
    if (!promoted.ok()) {
      std::fprintf(stderr, "fletchingd: %s\n", promoted.status().message().c_str());
      return 1;
    }
    std::fputs(promoted->c_str(), stdout);
    return 0;
  }
  fletching::server::PrepareAllocators(loaded->config.memory_budget_bytes);
  const Status status = fletching::server::Serve(*loaded);
  if (!status.ok()) {
    std::fprintf(stderr, "fletchingd: %s\n", status.message().c_str());
    return 1;
  }
  return 0;
}
