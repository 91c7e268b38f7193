#include "pull/helper_process.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/clock.h"

extern char** environ;

namespace fletching::pull {
namespace {

using std::chrono::steady_clock;

constexpr int kStepMs = 50;  // between two looks at `check`
constexpr size_t kErrorBytesMax = 64 * 1024;

Status SystemError(const std::string& what, int number) {
  return Unavailable(what + ": " + std::strerror(number));
}

void Close(int* descriptor) {
  if (*descriptor >= 0) ::close(*descriptor);
  *descriptor = -1;
}

// What the helper's three descriptors are made of, ours and its.
struct Pipes {
  std::array<int, 2> input = {-1, -1};  // sockets: writing to one that is gone raises no signal
  std::array<int, 2> output = {-1, -1};
  std::array<int, 2> error = {-1, -1};

  ~Pipes() {
    for (auto* pair : {&input, &output, &error}) {
      for (int& each : *pair) Close(&each);
    }
  }
  bool Make() {
    return ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, input.data()) == 0 &&
           ::pipe2(output.data(), O_CLOEXEC) == 0 && ::pipe2(error.data(), O_CLOEXEC) == 0;
  }
};

// How the new process differs from this one: its descriptors, and no signal blocked or ignored.
class SpawnPlan {
 public:
  explicit SpawnPlan(const Pipes& pipes) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, pipes.input[1], 0);
    posix_spawn_file_actions_adddup2(&actions_, pipes.output[1], 1);
    posix_spawn_file_actions_adddup2(&actions_, pipes.error[1], 2);
    // Connections of clients would else stay open behind our back.
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    // A group of its own: Ctrl-C in a terminal is for us to pass on.
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  int Spawn(const std::vector<std::string>& command, pid_t* pid) const {
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    return posix_spawnp(pid, arguments[0], &actions_, &attributes_, arguments.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Result<std::unique_ptr<HelperProcess>> HelperProcess::Start(HelperOptions options) {
  std::unique_ptr<HelperProcess> helper(new HelperProcess(std::move(options)));
  ARROW_RETURN_NOT_OK(helper->Spawn());
  ARROW_RETURN_NOT_OK(helper->SendInput());
  return helper;
}

Status HelperProcess::Spawn() {
  Pipes pipes;
  if (!pipes.Make()) return SystemError("pipes for a helper cannot be made", errno);
  const int error = SpawnPlan(pipes).Spawn(options_.command, &pid_);
  if (error != 0) {
    pid_ = -1;
    const std::string what = options_.command[0] + " cannot be started";
    if (error != ENOENT) return SystemError(what, error);
    return MakeError(ErrorCode::kNotFound, what + ": " + std::strerror(error));
  }
  input_ = std::exchange(pipes.input[0], -1);
  output_ = std::exchange(pipes.output[0], -1);
  error_ = std::exchange(pipes.error[0], -1);
  ::fcntl(error_, F_SETFL, O_NONBLOCK);
  return Status::OK();
}

HelperProcess::~HelperProcess() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  Close(&input_);
  Close(&output_);
  Close(&error_);
}

// Short enough for the socket's buffer. One that has ended already says why on stderr.
Status HelperProcess::SendInput() const {
  const std::string line = options_.input + "\n";
  const ssize_t sent = ::send(input_, line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<ssize_t>(line.size()) || (sent < 0 && errno == EPIPE)) {
    return Status::OK();
  }
  if (sent >= 0) return InvalidArgument("the question to the helper is too long");
  return SystemError("the helper takes no question", errno);
}

Status HelperProcess::ReadErrors() {
  std::array<char, 4096> piece;
  while (error_ >= 0) {
    const ssize_t got = ::read(error_, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      Close(&error_);
      break;
    }
    errors_.append(piece.data(), static_cast<size_t>(got));
    if (errors_.size() > kErrorBytesMax) errors_.erase(0, errors_.size() - kErrorBytesMax);
  }
  return Status::OK();
}

// Until stdout has something, or has ended.
Status HelperProcess::WaitForBytes(bool* has_output) {
  *has_output = false;
  auto heard = steady_clock::now();
  while (true) {
    if (options_.check) ARROW_RETURN_NOT_OK(options_.check());
    std::array<pollfd, 2> wanted = {pollfd{output_, POLLIN, 0}, pollfd{error_, POLLIN, 0}};
    const int ready = ::poll(wanted.data(), wanted.size(), kStepMs);  // -1 is passed over
    if (ready < 0 && errno != EINTR) return SystemError("waiting for the helper", errno);
    if (ready > 0) heard = steady_clock::now();
    if (wanted[1].revents != 0) ARROW_RETURN_NOT_OK(ReadErrors());
    if (wanted[0].revents != 0) {
      *has_output = true;
      return Status::OK();
    }
    if (output_ < 0 && error_ < 0) return Status::OK();
    if (MillisSince(heard) > options_.silence_ms_max) {
      return Unavailable("the helper has said nothing for " +
                         std::to_string(options_.silence_ms_max) + " ms, and was ended");
    }
  }
}

Result<int64_t> HelperProcess::Read(int64_t byte_count, void* out) {
  while (output_ >= 0 && byte_count > 0) {
    bool has_output = false;
    ARROW_RETURN_NOT_OK(WaitForBytes(&has_output));
    const ssize_t got = ::read(output_, out, static_cast<size_t>(byte_count));
    if (got > 0) return got;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("reading from the helper", errno);
    Close(&output_);
  }
  return 0;
}

Result<int> HelperProcess::Wait() {
  std::array<char, 4096> rest;
  while (true) {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, Read(rest.size(), rest.data()));
    if (got == 0) break;
  }
  // Only stderr is left: its end, not its bytes, is waited for.
  bool has_output = false;
  ARROW_RETURN_NOT_OK(WaitForBytes(&has_output));
  const auto start = steady_clock::now();
  while (pid_ > 0) {
    int how = 0;
    const pid_t ended = ::waitpid(pid_, &how, WNOHANG);
    if (ended == pid_) {
      pid_ = -1;
      exit_status_ = WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
      break;
    }
    if (options_.check) ARROW_RETURN_NOT_OK(options_.check());
    if (MillisSince(start) > options_.silence_ms_max) return Unavailable("the helper does not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return exit_status_;
}

}  // namespace fletching::pull
