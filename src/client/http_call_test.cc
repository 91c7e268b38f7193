// The calls against servers of a few lines that misbehave; against fletchingd they run in Python.
#include "client/http_call.h"

#include <arpa/inet.h>
#include <functional>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "arrow/buffer.h"
#include <gtest/gtest.h>

namespace fletching::client {
namespace {

// Accepts connections one after the other and lets `serve` have each.
class Server {
 public:
  explicit Server(std::function<void(int socket, int number)> serve, int connections = 1) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    socklen_t size = sizeof(name);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&name), &size);
    options.port = ntohs(name.sin_port);
    thread_ = std::thread([this, serve = std::move(serve), connections] {
      for (int number = 0; number < connections; ++number) {
        const int socket = ::accept(listener_, nullptr, nullptr);
        serve(socket, number);
        ::close(socket);
      }
    });
  }
  ~Server() {
    thread_.join();
    ::close(listener_);
  }

  PoolOptions options;

 private:
  int listener_ = -1;
  std::thread thread_;
};

// Reads a request to the end of its head; true when one came.
bool TakeRequest(int socket) {
  std::string held;
  char byte;
  while (!held.ends_with("\r\n\r\n")) {
    if (::recv(socket, &byte, 1, 0) != 1) return false;
    held += byte;
  }
  return true;
}

void Say(int socket, const std::string& text) {
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t sent = ::send(socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;
    at += static_cast<size_t>(sent);
  }
}

struct Outcome {
  Status status;
  int http = 0;
  std::string body;
};

Outcome Call(const std::shared_ptr<ConnectionPool>& pool, CallRequest request) {
  HttpCall call(pool, std::move(request));
  Outcome outcome;
  outcome.status = RunCall(&call, {});
  if (outcome.status.ok()) {
    outcome.http = call.reply().status;
    outcome.body = call.reply().body->ToString();
  }
  return outcome;
}

TEST(HttpCall, ReadsAnswersOfEveryShape) {
  const std::string text(100'000, 'x');
  Server server([&](int socket, int) {
    while (TakeRequest(socket)) {
      Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
      if (!TakeRequest(socket)) break;
      Say(socket, "HTTP/1.1 204 No Content\r\n\r\n");
      if (!TakeRequest(socket)) break;
      Say(socket,
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
          "\r\n3\r\nabc\r\n186a0\r\n" +
              text + "\r\n0\r\n\r\n");
      if (!TakeRequest(socket)) break;
      Say(socket, "HTTP/1.0 200 OK\r\n\r\nto the end");
      break;
    }
  });
  const auto pool = *ConnectionPool::Make(server.options);
  EXPECT_EQ(Call(pool, {}).body, "hello");
  EXPECT_EQ(Call(pool, {}).http, 204);
  EXPECT_EQ(Call(pool, {}).body, "abc" + text);
  EXPECT_EQ(Call(pool, {}).body, "to the end");
}

TEST(HttpCall, SaysWhenAnAnswerIsCutAtAnyByte) {
  const std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world";
  const int count = static_cast<int>(whole.size());
  Server server(
      [&](int socket, int number) {
        if (TakeRequest(socket)) Say(socket, whole.substr(0, static_cast<size_t>(number)));
      },
      count);
  const auto pool = *ConnectionPool::Make(server.options);
  for (int cut = 0; cut < count; ++cut) {
    const Outcome outcome = Call(pool, {});
    ASSERT_FALSE(outcome.status.ok()) << cut;
    ASSERT_EQ(CodeOf(outcome.status), ErrorCode::kUnavailable) << outcome.status;
  }
}

TEST(HttpCall, RepeatsOnAStaleConnectionOnlyWhatIsSafe) {
  Server server(
      [](int socket, int number) {
        if (TakeRequest(socket))
          Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + std::to_string(number));
        TakeRequest(socket);  // and hangs up on the second one
      },
      3);
  const auto pool = *ConnectionPool::Make(server.options);
  EXPECT_EQ(Call(pool, {.safe_to_repeat = true}).body, "0");
  EXPECT_EQ(Call(pool, {.safe_to_repeat = true}).body, "1");
  const Outcome outcome = Call(pool, {.method = "PUT"});
  EXPECT_FALSE(outcome.status.ok());
  EXPECT_NE(outcome.status.message().find("may have been done or not"), std::string::npos);
  EXPECT_EQ(Call(pool, {.safe_to_repeat = true}).body, "2");
}

TEST(HttpCall, GivesUpOnSilence) {
  int asked = 0;
  Server server([](int socket, int) {
    TakeRequest(socket);
    char byte;
    ::recv(socket, &byte, 1, 0);  // until the client hangs up
  });
  server.options.stall_timeout_ms = 300;
  const auto pool = *ConnectionPool::Make(server.options);
  HttpCall call(pool, {});
  const Status status = RunCall(&call, [&] {
    ++asked;
    return Status::OK();
  });
  EXPECT_EQ(CodeOf(status), ErrorCode::kDeadline) << status;
  EXPECT_GE(asked, 1);
}

TEST(HttpCall, TakesARefusalOfABodyThatIsStillBeingSent) {
  Server server([](int socket, int) {
    TakeRequest(socket);
    Say(socket,
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 17\r\n\r\n{\"error\":\"large\"}");
    ::shutdown(socket, SHUT_WR);
    char bytes[65536];
    while (::recv(socket, bytes, sizeof(bytes), 0) > 0) {
    }
  });
  const auto pool = *ConnectionPool::Make(server.options);
  CallRequest request{.method = "PUT"};
  const auto piece = *arrow::AllocateBuffer(1 << 20);
  const std::shared_ptr<arrow::Buffer> shared = arrow::SliceBuffer(
      std::shared_ptr<arrow::Buffer>(arrow::Buffer::FromString(std::string(1 << 20, 'x'))), 0);
  request.next_piece = [&] { return Result<std::shared_ptr<arrow::Buffer>>(shared); };  // no end
  HttpCall call(pool, std::move(request));
  ASSERT_TRUE(RunCall(&call, {}).ok());
  const Status status = StatusOf(call.reply(), "x");
  EXPECT_EQ(CodeOf(status), ErrorCode::kTooLarge);
  EXPECT_EQ(status.message(), "large");
}

TEST(HttpCall, SaysThatNobodyListens) {
  PoolOptions options;
  {
    Server gone([](int, int) {}, 0);
    options = gone.options;
  }
  const Outcome outcome = Call(*ConnectionPool::Make(options), {});
  EXPECT_EQ(CodeOf(outcome.status), ErrorCode::kUnavailable);
  EXPECT_NE(outcome.status.message().find("is fletchingd running"), std::string::npos);
}

}  // namespace
}  // namespace fletching::client
