// Measures the time from the first byte sent to the last byte received, over one persistent
// connection.
//
// A bare socket and nothing else: the requests are built beforehand and each leaves in one send;
// the response is read into one buffer until Content-Length bytes have come. So what is measured is
// the server and the loopback, and the same program measures nginx, the bare Beast server and
// fletchingd.
//
// Bodies file: any number of request bodies, each as a u32 length, little-endian, and its bytes;
// they are sent in turn. Does not speak TLS, chunked responses or pipelining.
//
// Build alone: g++ -std=c++20 -O2 -o http_client http_client.cc
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <xxhash.h>

#include "measure.h"

namespace {

using namespace yardstick;

struct Settings {
  std::string host, method, path, content_type, accept, headers, body_file, bodies_file, save_body,
      label;
  int64_t port, requests, warmup, body_bytes, expect_status, expect_bytes, cpu;
  bool spin;
};

Settings ParseSettings(int argc, char** argv) {
  Flags flags(argc, argv, {"spin"});
  Settings s;
  s.host = flags.Text("host", "127.0.0.1", "IPv4 address");
  s.port = flags.Integer("port", 0, 0, "port of the server");
  s.method = flags.Text("method", "POST", "request method");
  s.path = flags.Text("path", "/", "request target");
  s.content_type = flags.Text("content-type", "application/octet-stream", "of the request");
  s.accept = flags.Text("accept", "*/*", "Accept header");
  s.headers = flags.Text("headers", "", "more headers, 'Name: value' separated by '|'");
  s.body_file = flags.Text("body-file", "", "one request body");
  s.bodies_file =
      flags.Text("bodies-file", "", "many request bodies, sent in turn: u32 length, bytes, ...");
  s.body_bytes =
      flags.Integer("body-bytes", 0, 0, "a made-up body of so many bytes, without a file");
  s.requests = flags.Integer("requests", 2'000, 1, "timed requests");
  s.warmup = flags.Integer("warmup", 200, 0, "requests before the timed ones");
  s.expect_status = flags.Integer("expect-status", 200, 100, "any other status ends the run");
  s.expect_bytes = flags.Integer("expect-bytes", 0, 0, "length every response must have; 0 = any");
  s.save_body = flags.Text("save-body", "", "write the last response body to this file");
  s.label = flags.Text("label", "http", "name of what is measured, repeated in the JSON line");
  s.spin = flags.Switch("spin", "poll the socket instead of sleeping: keeps this core awake");
  s.cpu = flags.Integer("cpu", -1, -1, "stay on this core; -1 = wherever the scheduler likes");
  flags.Done();
  if (s.port == 0) Fail("--port is needed");
  return s;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) Fail("cannot read " + path + ": " + std::strerror(errno));
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> ReadBodies(const Settings& s) {
  if (!s.body_file.empty()) return {ReadFile(s.body_file)};
  if (s.bodies_file.empty()) return {std::string(static_cast<size_t>(s.body_bytes), 'x')};
  const std::string bytes = ReadFile(s.bodies_file);
  std::vector<std::string> bodies;
  for (size_t at = 0; at < bytes.size();) {
    uint32_t size = 0;
    if (bytes.size() - at >= 4) std::memcpy(&size, bytes.data() + at, 4);
    if (bytes.size() - at < 4 || bytes.size() - at - 4 < size) {
      Fail(s.bodies_file + ": body " + std::to_string(bodies.size()) + " at offset " +
           std::to_string(at) + " reaches past the end of the file");
    }
    bodies.push_back(bytes.substr(at + 4, size));
    at += 4 + size;
  }
  if (bodies.empty()) Fail(s.bodies_file + " holds no body");
  return bodies;
}

std::string BuildRequest(const Settings& s, const std::string& body) {
  std::string more = s.headers.empty() ? "" : s.headers + "|";
  for (size_t at = 0; (at = more.find('|', at)) != std::string::npos; at += 2)
    more.replace(at, 1, "\r\n");
  std::string request = s.method + " " + s.path + " HTTP/1.1\r\nHost: " + s.host + ":" +
                        std::to_string(s.port) + "\r\nAccept: " + s.accept + "\r\n" + more;
  if (!body.empty() || s.method != "GET") {
    request += "Content-Type: " + s.content_type +
               "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return request + "\r\n" + body;
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

struct Response {
  int64_t status = 0;
  std::string_view body;  // into the connection's buffer, until the next request
};

class Connection {
 public:
  explicit Connection(const Settings& s) : spin_(s.spin), buffer_(size_t{1} << 20) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(s.port));
    if (inet_pton(AF_INET, s.host.c_str(), &address.sin_addr) != 1)
      Fail("--host wants an IPv4 address, got " + s.host);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      Fail("cannot connect to " + s.host + ":" + std::to_string(s.port) + ": " +
           std::strerror(errno));
    }
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~Connection() { close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Response Exchange(const std::string& request) {
    Send(request);
    size_t have = 0, head_bytes = 0;
    while (head_bytes == 0) {
      have += Receive(have);
      const size_t end = std::string_view(buffer_.data(), have).find("\r\n\r\n");
      if (end != std::string_view::npos) head_bytes = end + 4;
    }
    const std::string_view head(buffer_.data(), head_bytes);
    const int64_t status = std::strtoll(buffer_.data() + 9, nullptr, 10);  // after "HTTP/1.1 "
    const size_t body_bytes = status == 204 ? 0 : ContentLength(head);
    if (head_bytes + body_bytes > buffer_.size()) buffer_.resize(head_bytes + body_bytes);
    while (have < head_bytes + body_bytes) have += Receive(have);
    return {status, {buffer_.data() + head_bytes, body_bytes}};
  }

 private:
  void Send(const std::string& request) {
    for (size_t sent = 0; sent < request.size();) {
      const ssize_t n = send(socket_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
      if (n < 0) Fail(std::string("send: ") + std::strerror(errno));
      sent += static_cast<size_t>(n);
    }
  }

  size_t Receive(size_t have) {
    if (have == buffer_.size()) buffer_.resize(buffer_.size() * 2);
    for (;;) {
      const ssize_t n =
          recv(socket_, buffer_.data() + have, buffer_.size() - have, spin_ ? MSG_DONTWAIT : 0);
      if (n > 0) return static_cast<size_t>(n);
      if (n == 0)
        Fail("the server closed the connection after " + std::to_string(have) +
             " bytes of a response");
      if (errno != EAGAIN && errno != EINTR) Fail(std::string("recv: ") + std::strerror(errno));
    }
  }

  // Header names in any case.
  static size_t ContentLength(std::string_view head) {
    constexpr std::string_view kName = "\r\ncontent-length:";
    const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
    const auto found = std::search(head.begin(), head.end(), kName.begin(), kName.end(), same);
    if (found == head.end()) Fail("the response has no Content-Length:\n" + std::string(head));
    return std::strtoull(&*found + kName.size(), nullptr, 10);
  }

  bool spin_;
  int socket_;
  std::vector<char> buffer_;
};

struct Outcome {
  std::vector<int64_t> nanos;
  int64_t response_bytes = 0;
  uint64_t last_hash = 0;
  uint64_t all_hash = 0;  // of the hashes of all timed bodies, in order
  std::string last_body;
};

Outcome Run(const Settings& s, const std::vector<std::string>& requests) {
  Connection connection(s);
  Outcome outcome;
  for (int64_t i = -s.warmup; i < s.requests; ++i) {
    const std::string& request = requests[static_cast<size_t>(i + s.warmup) % requests.size()];
    const int64_t start = NowNanos();
    const Response response = connection.Exchange(request);
    const int64_t nanos = NowNanos() - start;
    const int64_t bytes = static_cast<int64_t>(response.body.size());
    if (response.status != s.expect_status || (s.expect_bytes != 0 && bytes != s.expect_bytes)) {
      Fail("request " + std::to_string(i) + ": status " + std::to_string(response.status) + ", " +
           std::to_string(bytes) + " bytes: " + std::string(response.body.substr(0, 300)));
    }
    if (i < 0) continue;
    outcome.nanos.push_back(nanos);
    outcome.response_bytes = bytes;
    outcome.last_hash = XXH3_64bits(response.body.data(), response.body.size());
    outcome.all_hash = XXH3_64bits_withSeed(&outcome.last_hash, 8, outcome.all_hash);
    if (i == s.requests - 1) outcome.last_body = response.body;
  }
  return outcome;
}

}  // namespace

int main(int argc, char** argv) {
  const Settings s = ParseSettings(argc, argv);
  std::vector<std::string> requests;
  size_t body_bytes = 0;
  for (const std::string& body : ReadBodies(s)) {
    requests.push_back(BuildRequest(s, body));
    body_bytes = std::max(body_bytes, body.size());
  }
  StayOn(s.cpu);
  const Outcome outcome = Run(s, requests);
  if (!s.save_body.empty()) std::ofstream(s.save_body, std::ios::binary) << outcome.last_body;
  const Percentiles p = Summarise(outcome.nanos);
  std::printf("%s: %lld requests of %zu bytes, %lld bytes back: p50 %.1f us, p90 %.1f, p99 %.1f\n",
              s.label.c_str(), static_cast<long long>(s.requests), body_bytes,
              static_cast<long long>(outcome.response_bytes), p.p50, p.p90, p.p99);
  JsonLine()
      .Add("yardstick", "http")
      .Add("label", s.label)
      .Add("method", s.method)
      .Add("path", s.path)
      .Add("requests", s.requests)
      .Add("bodies", static_cast<int64_t>(requests.size()))
      .Add("request_body_bytes", static_cast<int64_t>(body_bytes))
      .Add("response_body_bytes", outcome.response_bytes)
      .Add("spin", s.spin)
      .Add("cpu", s.cpu)
      .Add(p)
      .Add("quietest_p50_us", QuietestP50(outcome.nanos, 200))
      .Hash("last_body_hash", outcome.last_hash)
      .Hash("all_bodies_hash", outcome.all_hash)
      .Print();
}
