// Time to last byte of any server that answers bytes with bytes: Redis, PostgreSQL, fletchingd.
//
// A bare socket and nothing else. Requests are built beforehand and each leaves in one piece; the
// reply is read until it is whole, and compared with the one that is due outside of the timed part.
// Whole means: as long as the due reply (framing bytes: RESP and PostgreSQL, so the client need not
// even parse), or Content-Length bytes after the head (framing http; only the body is compared).
//
// Exchanges file: u32 length, request, u32 length, reply that is due, and so on; little-endian.
// With --rate requests are due at fixed times (open loop), and each is timed from when it was due.
//
// Build alone: g++ -std=c++20 -O2 -o wire_client wire_client.cc
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "../yardstick/measure.h"

namespace {

using namespace yardstick;

struct Settings {
  std::string host, unix_path, exchanges, preamble, framing;
  int64_t port, requests_min, requests_max, warmup, rate, cpu, milliseconds;
  bool spin, sleep, compare;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"spin", "sleep"});
  Settings s;
  s.host = flags.Text("host", "127.0.0.1", "IPv4 address");
  s.port = flags.Integer("port", 0, 0, "port of the server");
  s.unix_path = flags.Text("unix", "", "path of a Unix socket, instead of host and port");
  s.exchanges = flags.Text("exchanges", "", "requests and the replies that are due, sent in turn");
  s.preamble = flags.Text("preamble", "", "exchanges to begin with; only lengths are compared");
  s.framing = flags.Text("framing", "bytes", "bytes or http: how the end of a reply is known");
  s.milliseconds = flags.Integer("milliseconds", 1'000, 1, "how long to go on");
  s.requests_min = flags.Integer("requests-min", 3, 1, "timed requests, even if it takes longer");
  s.requests_max = flags.Integer("requests-max", 100'000'000, 1, "timed requests at most");
  s.warmup = flags.Integer("warmup", 5, 0, "requests before the timed ones");
  s.rate = flags.Integer("rate", 0, 0, "requests a second, due at fixed times; 0 = back to back");
  s.cpu = flags.Integer("cpu", -1, -1, "stay on this core; -1 = wherever the scheduler likes");
  s.compare = flags.Integer("compare", 1, 0, "0: any answer will do") != 0;
  s.sleep = flags.Switch("sleep", "with --rate: sleep until a request is due, as a writer may");
  s.spin = flags.Switch("spin", "poll the socket instead of sleeping: keeps this core awake");
  flags.Done();
  if (s.port == 0 && s.unix_path.empty()) Fail("--port or --unix is needed");
  if (s.framing != "bytes" && s.framing != "http") Fail("--framing is bytes or http");
  return s;
}

struct Exchange {
  std::string request, reply;
};

std::vector<Exchange> ReadExchanges(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("cannot read " + path + ": " + std::strerror(errno));
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Exchange> exchanges;
  size_t at = 0;
  const auto piece = [&] {
    uint32_t size = 0;
    if (bytes.size() - at >= 4) std::memcpy(&size, bytes.data() + at, 4);
    if (bytes.size() - at < 4 || bytes.size() - at - 4 < size) Fail(path + " is cut off");
    at += 4 + size;
    return bytes.substr(at - size, size);
  };
  while (at < bytes.size()) {
    std::string request = piece();
    exchanges.push_back({std::move(request), piece()});
  }
  return exchanges;
}

void StayOn(int64_t cpu) {
  if (cpu < 0) return;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<size_t>(cpu), &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
    Fail("--cpu=" + std::to_string(cpu) + ": " + std::strerror(errno));
  }
}

class Connection {
 public:
  explicit Connection(const Settings& s)
      : spin_(s.spin), http_(s.framing == "http"), buffer_(size_t{1} << 20) {
    s.unix_path.empty() ? ConnectTcp(s) : ConnectUnix(s);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // -> the reply, or its body; good until the next call.
  std::string_view Ask(const std::string& request, size_t reply_bytes) {
    Send(request);
    if (!http_) {
      for (size_t have = 0; have < reply_bytes;) have += Receive(have, reply_bytes);
      return {buffer_.data(), reply_bytes};
    }
    size_t have = 0, head_bytes = 0;
    while (head_bytes == 0) {
      have += Receive(have, have + 1);
      const size_t end = std::string_view(buffer_.data(), have).find("\r\n\r\n");
      if (end != std::string_view::npos) head_bytes = end + 4;
    }
    const size_t body_bytes = ContentLength({buffer_.data(), head_bytes});
    while (have < head_bytes + body_bytes) have += Receive(have, head_bytes + body_bytes);
    return {buffer_.data() + head_bytes, body_bytes};
  }

 private:
  void ConnectTcp(const Settings& s) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(s.port));
    if (inet_pton(AF_INET, s.host.c_str(), &address.sin_addr) != 1)
      Fail("--host wants an IPv4 address, got " + s.host);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      Fail("cannot connect to port " + std::to_string(s.port) + ": " + std::strerror(errno));
  }

  void ConnectUnix(const Settings& s) {
    socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (s.unix_path.size() >= sizeof address.sun_path) Fail("--unix is too long a path");
    std::memcpy(address.sun_path, s.unix_path.c_str(), s.unix_path.size() + 1);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      Fail("cannot connect to " + s.unix_path + ": " + std::strerror(errno));
  }

  void Send(const std::string& request) {
    for (size_t sent = 0; sent < request.size();) {
      const ssize_t n = send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n < 0) Fail(std::string("send: ") + std::strerror(errno));
      sent += static_cast<size_t>(n);
    }
  }

  // Reads more behind the first `have` bytes, of which `wanted` will be needed in all.
  size_t Receive(size_t have, size_t wanted) {
    if (wanted > buffer_.size()) buffer_.resize(wanted * 2);
    for (;;) {
      const ssize_t n =
          recv(socket_, buffer_.data() + have, buffer_.size() - have, spin_ ? MSG_DONTWAIT : 0);
      if (n > 0) return static_cast<size_t>(n);
      if (n < 0 && (errno == EINTR || (spin_ && errno == EAGAIN))) continue;
      Fail((n == 0 ? "the server closed the connection" : "no more bytes came for 20 s") +
           std::string(" after ") + std::to_string(have) + " of " + std::to_string(wanted) + ": " +
           std::string(buffer_.data(), std::min<size_t>(have, 200)));
    }
  }

  static size_t ContentLength(std::string_view head) {
    if (!head.starts_with("HTTP/1.1 200")) Fail("not a 200: " + std::string(head.substr(0, 200)));
    const size_t at = head.find("\r\nContent-Length: ");
    if (at == std::string_view::npos) Fail("no Content-Length: " + std::string(head));
    return std::strtoull(head.data() + at + 18, nullptr, 10);
  }

  bool spin_, http_;
  int socket_ = -1;
  std::vector<char> buffer_;
};

struct Outcome {
  std::vector<int64_t> nanos;
  double seconds = 0;
};

void Check(const Settings& s, std::string_view got, const Exchange& exchange, int64_t number) {
  if (!s.compare || got == exchange.reply) return;
  size_t at = 0;
  while (at < got.size() && at < exchange.reply.size() && got[at] == exchange.reply[at]) ++at;
  Fail("wrong answer: reply " + std::to_string(number) + " has " + std::to_string(got.size()) +
       " bytes, " + std::to_string(exchange.reply.size()) + " were due; they differ at " +
       std::to_string(at) + ": " + std::string(got.substr(at, 60)));
}

Outcome Run(const Settings& s, const std::vector<Exchange>& exchanges, Connection* connection) {
  Outcome outcome;
  const int64_t interval = s.rate == 0 ? 0 : 1'000'000'000 / s.rate;
  int64_t begin = 0;
  for (int64_t i = -s.warmup; i < s.requests_max; ++i) {
    if (i == 0) begin = NowNanos();
    const Exchange& exchange = exchanges[static_cast<size_t>(i + s.warmup) % exchanges.size()];
    int64_t start = NowNanos();
    if (i > s.requests_min && start - begin > s.milliseconds * 1'000'000) break;
    if (interval != 0 && i >= 0) {
      const int64_t due = begin + i * interval;
      if (s.sleep) std::this_thread::sleep_for(std::chrono::nanoseconds(due - NowNanos()));
      while (NowNanos() < due) {  // on a core of its own, so that no wake-up of ours is counted
      }
      start = due;
    }
    const std::string_view reply = connection->Ask(exchange.request, exchange.reply.size());
    const int64_t nanos = NowNanos() - start;
    Check(s, reply, exchange, i);
    if (i >= 0) outcome.nanos.push_back(nanos);
  }
  outcome.seconds = static_cast<double>(NowNanos() - begin) / 1e9;
  return outcome;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  const std::vector<Exchange> exchanges = ReadExchanges(s.exchanges);
  if (exchanges.empty()) Fail("--exchanges is needed and must hold some");
  StayOn(s.cpu);
  Connection connection(s);
  for (const Exchange& first : ReadExchanges(s.preamble)) {
    connection.Ask(first.request, first.reply.size());
  }
  const Outcome outcome = Run(s, exchanges, &connection);
  const auto count = static_cast<int64_t>(outcome.nanos.size());
  JsonLine()
      .Add("count", count)
      .Add("rate", static_cast<double>(count) / outcome.seconds)
      .Add(Summarise(outcome.nanos))
      .Print();
}
