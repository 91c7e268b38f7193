// Both ends in one process, over a pair of sockets. Certificates are made by the program openssl.
#include <fcntl.h>
#include <stdlib.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "tls/tls_context.h"
#include "tls/tls_stream.h"

namespace fletching::tls {
namespace {

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/tlsXXXXXX";
    folder_ = mkdtemp(folder.data());
    Make("a", "127.0.0.1", "IP:127.0.0.1,DNS:localhost");
    int pair[2] = {};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    server_socket_ = pair[0];
    client_socket_ = pair[1];
  }
  void TearDown() override {
    close(server_socket_);
    close(client_socket_);
  }

  std::string File(const std::string& name) const { return folder_ + "/" + name; }
  void Make(const std::string& name, const std::string& subject, const std::string& names) const {
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "
        "/CN=" +
        subject + " -addext subjectAltName=" + names + " -keyout " + File(name + ".key") +
        " -out " + File(name + ".pem") + " 2>/dev/null";
    ASSERT_EQ(system(command.c_str()), 0) << command;
  }

  Result<std::unique_ptr<TlsStream>> Server(const std::string& name) const {
    ARROW_ASSIGN_OR_RAISE(auto context,
                          TlsContext::ForServer(File(name + ".pem"), File(name + ".key")));
    return TlsStream::Accept(std::move(context), server_socket_);
  }
  Result<std::unique_ptr<TlsStream>> Client(const std::string& ca, const std::string& host) const {
    ARROW_ASSIGN_OR_RAISE(auto context, TlsContext::ForClient(ca));
    return TlsStream::Connect(std::move(context), client_socket_, host);
  }

  // Moves `text` from one to the other, as far as both can.
  static std::string Send(TlsStream* from, TlsStream* to, std::string_view text) {
    std::string got;
    std::vector<uint8_t> room(10'000);
    for (int turn = 0; turn < 100'000 && got.size() < 1'000'000; ++turn) {
      size_t moved = 0;
      if (!text.empty()) {
        if (from->Write(AsBytes(text), &moved) == TlsState::kFailed) break;
        text.remove_prefix(moved);
      } else if (from->Read(room, &moved) == TlsState::kFailed) {
        break;  // the handshake may have something to say
      }
      const TlsState state = to->Read(room, &moved);
      if (state == TlsState::kFailed) break;
      got.append(reinterpret_cast<const char*>(room.data()), moved);
      if (text.empty() && state == TlsState::kWantRead) break;
    }
    return got;
  }

  std::string folder_;
  int server_socket_ = -1;
  int client_socket_ = -1;
};

TEST_F(TlsTest, CarriesBytesBothWays) {
  for (const char* host : {"127.0.0.1", "localhost"}) {
    TearDown();
    SetUp();
    const auto server = Server("a");
    ASSERT_TRUE(server.ok()) << server.status();
    const auto client = Client(File("a.pem"), host);
    ASSERT_TRUE(client.ok()) << client.status();
    const std::string text(700'000, 'x');
    EXPECT_EQ(Send(client->get(), server->get(), text).size(), text.size()) << (*client)->error();
    EXPECT_EQ(Send(server->get(), client->get(), "answer"), "answer") << (*server)->error();
    (*server)->Close();
    std::vector<uint8_t> room(10);
    size_t moved = 0;
    EXPECT_EQ((*client)->Read(room, &moved), TlsState::kEnd);
  }
}

TEST_F(TlsTest, TrustsOnlyWhomItIsToldToTrust) {
  Make("b", "127.0.0.1", "IP:127.0.0.1");
  const auto server = *Server("a");
  const auto client = *Client(File("b.pem"), "127.0.0.1");
  EXPECT_EQ(Send(client.get(), server.get(), "secret"), "");
  EXPECT_NE(client->error().find("certificate"), std::string::npos) << client->error();
}

TEST_F(TlsTest, WantsTheCertificateOfTheHostThatItAsked) {
  for (const char* host : {"127.0.0.2", "example.org", "::1"}) {
    TearDown();
    SetUp();
    const auto server = *Server("a");
    const auto client = *Client(File("a.pem"), host);
    EXPECT_EQ(Send(client.get(), server.get(), "secret"), "") << host;
    EXPECT_NE(client->error().find("mismatch"), std::string::npos) << client->error();
  }
}

TEST_F(TlsTest, FailsOnWhatIsNoTls) {
  const auto server = *Server("a");
  ASSERT_EQ(write(client_socket_, "GET / HTTP/1.1\r\n\r\n", 18), 18);
  std::vector<uint8_t> room(10);
  size_t moved = 1;
  EXPECT_EQ(server->Read(room, &moved), TlsState::kFailed);
  EXPECT_EQ(moved, 0u);
  EXPECT_EQ(server->error(), "http request");
}

TEST_F(TlsTest, NamesTheFileThatIsNoGood) {
  Make("b", "127.0.0.1", "IP:127.0.0.1");
  const auto says = [](const Status& status, const std::string& part) {
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(part), std::string::npos) << status;
  };
  says(TlsContext::ForServer("/no.pem", File("a.key")).status(), "/no.pem");
  says(TlsContext::ForServer(File("a.key"), File("a.key")).status(), "a.key");
  says(TlsContext::ForServer(File("a.pem"), "/no.key").status(), "/no.key");
  says(TlsContext::ForServer(File("a.pem"), File("b.key")).status(), "b.key");
  says(TlsContext::ForClient("/no.pem").status(), "/no.pem");
}

TEST_F(TlsTest, IsRenewedForNewConnections) {
  const auto identity = TlsIdentity::Open(File("a.pem"), File("a.key"));
  ASSERT_TRUE(identity.ok()) << identity.status();
  const auto before = (*identity)->context();
  ASSERT_TRUE((*identity)->Reload().ok());
  const auto renewed = (*identity)->context();
  EXPECT_NE(before, renewed);
  unlink(File("a.key").c_str());
  EXPECT_FALSE((*identity)->Reload().ok());
  EXPECT_EQ((*identity)->context(), renewed);
}

}  // namespace
}  // namespace fletching::tls
