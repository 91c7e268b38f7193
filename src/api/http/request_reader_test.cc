#include "api/http/request_reader.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fletching::http {
namespace {

using State = RequestReader::State;

struct Outcome {
  State state = State::kNeedMore;
  int status = 0;  // of a fault
  std::string body;
  size_t used = 0;
};

// Feeds `text` in pieces, gathering the body in memory.
Outcome Read(std::string_view text, size_t piece = SIZE_MAX, int64_t body_max = 1 << 20) {
  SpoolLimits limits;
  RequestReader reader;
  reader.Start(8192);
  Outcome outcome;
  size_t end = 0;
  while (true) {
    if (outcome.used == end) {
      if (end == text.size()) return outcome;
      end = std::min(text.size(), end + std::min(piece, text.size()));
    }
    size_t used = 0;
    outcome.state = reader.Feed(AsBytes(text.substr(outcome.used, end - outcome.used)), &used);
    outcome.used += used;
    if (outcome.state == State::kFault) {
      outcome.status = reader.fault().status;
      return outcome;
    }
    if (outcome.state == State::kHead) {
      reader.TakeBody(BodySpool(&limits), body_max);
      if (reader.head().has_body) continue;
      outcome.state = State::kDone;
    }
    if (outcome.state == State::kDone) {
      outcome.body = reader.spool().Finish()->text();
      return outcome;
    }
    if (outcome.state == State::kNeedMore && outcome.used < end) {
      if (end == text.size()) return outcome;
      end = std::min(text.size(), end + piece);
    }
  }
}

RequestHead Head(RequestReader* reader, std::string_view text) {
  reader->Start(8192);
  size_t used = 0;
  EXPECT_EQ(reader->Feed(AsBytes(text), &used), State::kHead);
  return reader->head();
}

TEST(RequestReader, ReadsTheHead) {
  RequestReader reader;
  const std::string text =
      "PUT /a%20b?x=1&y#z HTTP/1.1\r\nHost: h\r\nContent-Type: text/x\r\naccept: j, k\r\n"
      "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc";
  const RequestHead head = Head(&reader, text);
  EXPECT_EQ(head.method, Method::kPut);
  EXPECT_EQ(head.path, "/a%20b");
  EXPECT_EQ(head.query, "x=1&y");
  EXPECT_EQ(head.content_type, "text/x");
  EXPECT_EQ(head.accept, "j, k");
  EXPECT_EQ(head.body_bytes, 3);
  EXPECT_TRUE(head.has_body);
  EXPECT_TRUE(head.expects_continue);
  EXPECT_TRUE(head.keep_alive);
}

TEST(RequestReader, KnowsHeadConnectAndOlderVersions) {
  RequestReader reader;
  RequestHead head = Head(&reader, "HEAD http://host:80/health HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(head.is_head);
  EXPECT_EQ(head.method, Method::kGet);
  EXPECT_EQ(head.path, "/health");
  head = Head(&reader, "GET http://host HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(head.path, "/");
  head = Head(&reader, "BREW /pot HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(head.method, Method::kOther);
  EXPECT_EQ(head.method_name, "BREW");
  EXPECT_FALSE(head.keep_alive);
  head = Head(&reader, "GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(head.http_1_0);
  EXPECT_FALSE(head.keep_alive);
}

TEST(RequestReader, ReadsTheSameInPiecesOfAnySize) {
  const std::string length = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world";
  const std::string chunks =
      "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n";
  for (const std::string& text : {length, chunks}) {
    for (size_t piece = 1; piece <= text.size(); ++piece) {
      const Outcome outcome = Read(text, piece);
      ASSERT_EQ(outcome.state, State::kDone) << "pieces of " << piece << "\n" << text;
      EXPECT_EQ(outcome.body, "hello world");
      EXPECT_EQ(outcome.used, text.size());
    }
  }
}

TEST(RequestReader, LeavesTheNextRequestAlone) {
  const std::string one = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab";
  const Outcome outcome = Read(one + one);
  EXPECT_EQ(outcome.state, State::kDone);
  EXPECT_EQ(outcome.used, one.size());
}

TEST(RequestReader, RefusesWhatTwoReadersCouldUnderstandDifferently) {
  const std::string start = "POST /x HTTP/1.1\r\nHost: h\r\n";
  const std::string chunk = "\r\n0\r\n\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {start + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n" + chunk, 400},
      {start + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n" + chunk, 400},
      {start + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
      {start + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
      {start + "Content-Length: 1, 1\r\n\r\na", 400},
      {start + "Content-Length: -1\r\n\r\n", 400},
      {start + "Content-Length: +1\r\n\r\na", 400},
      {start + "Content-Length: 0x1\r\n\r\na", 400},
      {start + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {start + "Transfer-Encoding: gzip\r\n\r\n", 501},
      {start + "Transfer-Encoding: gzip, chunked\r\n" + chunk, 501},
      {start + "Transfer-Encoding: xchunked\r\n" + chunk, 501},
      {start + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400},
      {start + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400},
      {"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" + chunk, 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 0},  // folding is white space: taken
      {"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: a\n\n", 505},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET /\r\n\r\n", 400},
      {std::string("GET /\0x HTTP/1.1\r\nHost: a\r\n\r\n", 30), 400},
      {"\x16\x03\x01\x02\x00\x01\x00", 400},
  };
  for (const auto& [text, status] : cases) {
    const Outcome outcome = Read(text);
    EXPECT_EQ(outcome.state == State::kFault ? outcome.status : 0, status) << text;
  }
}

TEST(RequestReader, BoundsHeaderAndBody) {
  const std::string start = "POST /x HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(Read(start + "X: " + std::string(10'000, 'x')).status, 431);
  EXPECT_EQ(Read(start + "X: " + std::string(10'000, 'x'), 100).status, 431);
  // All of it at once: it is complete before anybody counts what is left over.
  EXPECT_EQ(Read(start + "X: " + std::string(10'000, 'x') + "\r\n\r\n").status, 431);
  std::string many = start;
  for (int i = 0; i < 2000; ++i) many += "A: b\r\n";
  EXPECT_EQ(Read(many, 100).status, 431);
  EXPECT_EQ(Read(start + "Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n", SIZE_MAX, 5).status,
            413);
}

}  // namespace
}  // namespace fletching::http
