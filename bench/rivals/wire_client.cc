// Time to last byte of any server that answers bytes with bytes: Redis, PostgreSQL, fletchingd.
//
// A bare socket and nothing else. Requests are built beforehand and each leaves in one piece; the
// reply is read until it is whole, and compared with the one that is due outside of the timed part.
// Whole means: as long as the due reply (framing bytes: RESP and PostgreSQL, so the client need not
// even parse), or Content-Length bytes after the head (framing http; only the body is compared).
//
// Exchanges file: see exchanges.h. With --rate requests are due at fixed times (open loop), and
// each is timed from when it was due.
//
// Build alone: g++ -std=c++20 -O2 -o wire_client wire_client.cc
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "exchanges.h"

namespace {

using namespace yardstick;
using rivals::Exchange;
using rivals::ReadExchanges;

struct Settings {
  std::string host, unix_path, exchanges, preamble, framing;
  int64_t port, cpu;
  rivals::Pace pace;
  bool spin, compare;
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
  s.pace = rivals::ParsePace(&flags);
  s.cpu = flags.Integer("cpu", -1, -1, "stay on this core; -1 = wherever the scheduler likes");
  s.compare = flags.Integer("compare", 1, 0, "0: any answer will do") != 0;
  s.spin = flags.Switch("spin", "poll the socket instead of sleeping: keeps this core awake");
  flags.Done();
  if (s.port == 0 && s.unix_path.empty()) Fail("--port or --unix is needed");
  if (s.framing != "bytes" && s.framing != "http") Fail("--framing is bytes or http");
  return s;
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

void Check(const Settings& s, std::string_view got, const Exchange& exchange, size_t number) {
  if (!s.compare || got == exchange.reply) return;
  size_t at = 0;
  while (at < got.size() && at < exchange.reply.size() && got[at] == exchange.reply[at]) ++at;
  Fail("wrong answer: reply " + std::to_string(number) + " has " + std::to_string(got.size()) +
       " bytes, " + std::to_string(exchange.reply.size()) + " were due; they differ at " +
       std::to_string(at) + ": " + std::string(got.substr(at, 60)));
}

}  // namespace

int main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  const std::vector<Exchange> exchanges = ReadExchanges(s.exchanges);
  if (exchanges.empty()) Fail("--exchanges is needed and must hold some");
  rivals::StayOn(s.cpu);
  Connection connection(s);
  for (const Exchange& first : ReadExchanges(s.preamble)) {
    connection.Ask(first.request, first.reply.size());
  }
  std::string_view reply;
  const auto ask = [&](size_t which) {
    reply = connection.Ask(exchanges[which].request, exchanges[which].reply.size());
  };
  const auto check = [&](size_t which) { Check(s, reply, exchanges[which], which); };
  rivals::RunAndPrint(s.pace, exchanges.size(), ask, check);
}
