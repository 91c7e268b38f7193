// The least HTTP server that Boost.Beast can be: reads a request with its body, writes prebuilt
// bytes.
//
// Blocking calls, a thread per connection, no routing, no timeouts, nothing computed: the floor
// under any door built on Beast. Prints {"listening": port} when ready and serves until it is
// killed. Answers every method and path alike.
//
// Build alone: g++ -std=c++20 -O2 -o bare_beast_server bare_beast_server.cc -pthread
#include <fstream>
#include <iterator>
#include <thread>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "measure.h"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

void Serve(tcp::socket socket, const std::string& response) {
  socket.set_option(tcp::no_delay(true));
  beast::flat_buffer buffer(size_t{8} << 20);
  buffer.reserve(
      size_t{1} << 20);  // Beast reads no more at once than the buffer already has room for
  boost::system::error_code error;
  while (!error) {
    http::request_parser<http::string_body> parser;
    parser.body_limit(size_t{1} << 30);
    http::read(socket, buffer, parser, error);
    if (!error) asio::write(socket, asio::buffer(response), error);
  }
}

// Header and body in one piece, so that one write sends both.
std::string BuildResponse(std::string body, const std::string& content_type) {
  return "HTTP/1.1 200 OK\r\nServer: bare-beast\r\nContent-Type: " + content_type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

int main(int argc, char** argv) {
  yardstick::Flags flags(argc, argv, {});
  const int64_t port = flags.Integer("port", 0, 0, "port on 127.0.0.1; 0 picks a free one");
  const int64_t bytes =
      flags.Integer("response-bytes", 44'000, 0, "a made-up response of so many bytes");
  const std::string file =
      flags.Text("response-file", "", "the response body, instead of made-up bytes");
  const std::string type =
      flags.Text("content-type", "application/octet-stream", "of the response");
  flags.Done();
  std::string body(static_cast<size_t>(bytes), 'y');
  if (!file.empty()) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) yardstick::Fail("cannot read --response-file " + file);
    body.assign(std::istreambuf_iterator<char>(stream), {});
  }
  const std::string response = BuildResponse(std::move(body), type);

  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)});
  std::printf("{\"listening\": %u}\n", static_cast<unsigned>(acceptor.local_endpoint().port()));
  std::fflush(stdout);
  for (;;) std::thread(Serve, acceptor.accept(), std::cref(response)).detach();
}
