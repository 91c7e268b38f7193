// The whole door in one process, over real sockets, so that the sanitizers see its threads at work.
// What the answers say is tested in tests/e2e.
#include "api/http/http_server.h"

#include <arpa/inet.h>
#include <atomic>
#include <netinet/in.h>
#include <stdlib.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "fletching/engine.h"
#include "fletching/options.h"

#include "api/http/listener.h"

namespace fletching::http {
namespace {

// A connection as a client has it. Reads answers by their Content-Length.
class Client {
 public:
  explicit Client(const std::string& address) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    const HostPort parsed = *ParseHostPort(address);
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_port = htons(parsed.port);
    inet_pton(AF_INET, parsed.host.c_str(), &name.sin_addr);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof(name)) == 0;
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  bool Send(std::string_view text) {
    return send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }
  // Status of the next answer, 0 when the connection ended. `body` receives what it carries.
  int Receive(std::string* body = nullptr) {
    size_t end = std::string::npos;
    while ((end = held_.find("\r\n\r\n")) == std::string::npos) {
      if (!Read()) return 0;
    }
    const size_t at = held_.find("Content-Length: ");
    const size_t length = at < end ? std::stoul(held_.substr(at + 16)) : 0;
    while (held_.size() < end + 4 + length) {
      if (!Read()) return 0;
    }
    const int status = std::stoi(held_.substr(9, 3));
    if (body != nullptr) *body = held_.substr(end + 4, length);
    held_.erase(0, end + 4 + length);
    return status;
  }
  int Ask(const std::string& method, const std::string& path, const std::string& body,
          std::string* answer = nullptr) {
    const std::string text = method + " " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body;
    return Send(text) ? Receive(answer) : 0;
  }

 private:
  bool Read() {
    char piece[65536];
    const ssize_t count = recv(socket_, piece, sizeof(piece), 0);
    if (count > 0) held_.append(piece, static_cast<size_t>(count));
    return count > 0;
  }

  int socket_;
  bool connected_ = false;
  std::string held_;
};

class HttpServerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/http-XXXXXX";
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    EngineOptions options;
    options.data_dir = folder_;
    engine_ = *Engine::Open(options);
    options_.port = 0;
    options_.io_threads = 2;
    options_.worker_threads = 8;
    options_.spool_folder = folder_;
  }
  void TearDown() override {
    server_.reset();
    EXPECT_TRUE(engine_->Close().ok());
    EXPECT_EQ(system(("rm -rf " + folder_).c_str()), 0);
  }
  void Start() {
    auto started = HttpServer::Start(engine_.get(), options_);
    ASSERT_TRUE(started.ok()) << started.status();
    server_ = std::move(*started);
    Client client(server_->address());
    ASSERT_EQ(client.Ask("PUT", "/api/v1/table/t",
                         R"({"key":"k","columns":{"k":{"dtype":"utf8"},"v":{"dtype":"int64"}}})"),
              201);
  }

  std::string folder_;
  HttpServerOptions options_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<HttpServer> server_;
};

std::string Row(int64_t number) {
  const std::string text = std::to_string(number);
  return R"({"columns":{"k":["k)" + text + R"("],"v":[)" + text + "]}}";
}

TEST_F(HttpServerTest, ServesReadersAndWritersAtOnce) {
  Start();
  std::vector<std::thread> threads;
  std::atomic<int> faults = 0;
  for (int n = 0; n < 6; ++n) {
    threads.emplace_back([&, n] {
      Client client(server_->address());
      for (int turn = 0; turn < 30; ++turn) {
        const int64_t number = n * 1000 + turn;
        if (client.Ask("PUT", "/api/v1/table/t/write", Row(number)) != 200) ++faults;
        std::string body;
        const std::string keys =
            R"({"keys":["k)" + std::to_string(number) + R"("],"columns":["v"]})";
        if (client.Ask("POST", "/api/v1/table/t/fetch", keys, &body) != 200) ++faults;
        if (body != R"({"columns":{"v":[)" + std::to_string(number) + "]}}") ++faults;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(faults, 0);
  EXPECT_TRUE(server_->Stop(1000));
}

TEST_F(HttpServerTest, SpoolsLongBodiesAndGoesOn) {
  Start();
  Client client(server_->address());
  EXPECT_EQ(client.Ask("PUT", "/api/v1/table/t/write", Row(1) + std::string(20 << 20, ' ')), 200);
  EXPECT_EQ(client.Ask("PUT", "/api/v1/table/t/write", std::string(20 << 20, 'x')), 400);
  EXPECT_EQ(client.Ask("GET", "/health", ""), 200);
}

TEST_F(HttpServerTest, FinishesWhatIsUnderWayAndThenEnds) {
  Start();
  std::atomic<bool> stopping = false;
  std::atomic<int> acknowledged = 0;
  std::atomic<int> cut = 0;
  std::vector<std::thread> threads;
  for (int n = 0; n < 4; ++n) {
    threads.emplace_back([&, n] {
      for (int64_t number = n * 100'000;; ++number) {
        Client client(server_->address());
        if (!client.connected()) return;
        const int status = client.Ask("PUT", "/api/v1/table/t/write", Row(number));
        if (status == 200) ++acknowledged;
        // A connection that nobody had answered yet when the door closed is no loss.
        if (status == 0 && !stopping) ++cut;
        if (status == 0) return;
      }
    });
  }
  while (acknowledged < 50) std::this_thread::yield();
  stopping = true;
  EXPECT_TRUE(server_->Stop(10'000));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cut, 0);
  EXPECT_GE(engine_->GetTable("t")->row_count, acknowledged.load());
}

TEST_F(HttpServerTest, CutsWhatDoesNotFinishInTime) {
  Start();
  Client stuck(server_->address());
  ASSERT_TRUE(
      stuck.Send("PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{"));
  Client idle(server_->address());
  EXPECT_EQ(idle.Ask("GET", "/health", ""), 200);
  // The stuck one is in flight once the server has seen its head.
  Client other(server_->address());
  EXPECT_EQ(other.Ask("GET", "/livez", ""), 200);
  (void)server_->Stop(50);
  EXPECT_EQ(idle.Receive(), 0);
  EXPECT_EQ(stuck.Receive(), 0);
}

TEST_F(HttpServerTest, RefusesMoreConnectionsThanAllowed) {
  options_.connections_max = 2;
  Start();
  // The connection of Start may still be closing, and then counts.
  std::vector<std::unique_ptr<Client>> held;
  while (held.size() < 2) {
    auto client = std::make_unique<Client>(server_->address());
    if (client->Ask("GET", "/livez", "") == 200) held.push_back(std::move(client));
  }
  Client third(server_->address());
  EXPECT_EQ(third.Receive(), 503);
}

TEST_F(HttpServerTest, RefusesMoreRequestsAtOnceThanAllowed) {
  options_.limits.requests_max = 1;
  options_.io_threads = 1;  // what was answered inline is off the count before more is read
  Start();
  const std::string row = Row(1);
  std::unique_ptr<Client> slow;
  int status = 503;  // as long as the request of Start still counts
  while (status == 503) {
    slow = std::make_unique<Client>(server_->address());
    ASSERT_TRUE(slow->Send("PUT /api/v1/table/t/write HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                           std::to_string(row.size()) + "\r\nExpect: 100-continue\r\n\r\n"));
    status = slow->Receive();
  }
  ASSERT_EQ(status, 100);  // its head is read: it is in flight
  Client other(server_->address());
  EXPECT_EQ(other.Ask("GET", "/api/v1/table", ""), 503);
  EXPECT_EQ(other.Ask("GET", "/livez", ""), 200);
  ASSERT_TRUE(slow->Send(row));
  EXPECT_EQ(slow->Receive(), 200);
  EXPECT_EQ(slow->Ask("GET", "/api/v1/table", ""), 200);
}

TEST_F(HttpServerTest, TellsOfEveryRequest) {
  std::atomic<int> told = 0;
  options_.on_request = [&](const RequestEvent& event) {
    if (event.status == 404 || event.operation_id == "create_table") ++told;
  };
  Start();
  Client client(server_->address());
  EXPECT_EQ(client.Ask("GET", "/nowhere", ""), 404);
  server_->Stop(1000);
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace fletching::http
