// A program that is run for what it prints: started, watched, ended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <sys/types.h>
#include <vector>

#include "fletching/status.h"

namespace fletching::pull {

struct HelperOptions {
  std::vector<std::string> command;  // the program is looked for in PATH
  std::string input;                 // a line for its stdin, which then stays open until the end
  int64_t silence_ms_max = 60'000;   // without a byte from it, while somebody waits for one
  std::function<Status()> check;     // several times a second; an error ends the wait
};

// Inherits the environment and no descriptor but its own three. Threads: one at a time.
// Lifetime: the program is killed, and waited for, when this is destroyed.
class HelperProcess {
 public:
  // Errors: kNotFound when there is no such program; kUnavailable.
  static Result<std::unique_ptr<HelperProcess>> Start(HelperOptions options);
  ~HelperProcess();
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  // Waits for something on its stdout, at most `byte_count` of it; 0 at the end.
  // Errors: kUnavailable when it is silent; those of `check`.
  Result<int64_t> Read(int64_t byte_count, void* out);
  // Waits for its end and answers its exit status; of one that a signal ended, minus the signal.
  // Errors: as Read.
  Result<int> Wait();
  // The end of what it wrote to stderr.
  const std::string& errors() const { return errors_; }

 private:
  explicit HelperProcess(HelperOptions options) : options_(std::move(options)) {}
  Status Spawn();
  Status SendInput() const;
  Status WaitForBytes(bool* has_output);
  Status ReadErrors();

  const HelperOptions options_;
  pid_t pid_ = -1;  // -1 before its start and after its end
  int input_ = -1;  // of ours
  int output_ = -1;
  int error_ = -1;
  int exit_status_ = 0;
  std::string errors_;
};

}  // namespace fletching::pull
