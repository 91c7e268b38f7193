#include "api/http/response_head.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::http {
namespace {

TEST(ResponseHead, SaysWhatFollows) {
  HttpResponse response = JsonResponse(200, "{}");
  response.headers.emplace_back("Fletching-Rows", "3");
  std::string head;
  WriteResponseHead(&head, response, {.now_seconds = 1709251199});
  EXPECT_EQ(head,
            "HTTP/1.1 200 OK\r\nServer: fletching\r\nDate: Thu, 29 Feb 2024 23:59:59 GMT\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\nFletching-Rows: 3\r\n\r\n");
}

TEST(ResponseHead, HasALengthUnlessThereIsNoBodyByDefinition) {
  std::string head;
  WriteResponseHead(&head, EmptyResponse(201), {});
  EXPECT_NE(head.find("Content-Length: 0\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Content-Type"), std::string::npos);
  WriteResponseHead(&head, EmptyResponse(204), {});
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
}

TEST(ResponseHead, SaysWhetherTheConnectionStays) {
  std::string head;
  WriteResponseHead(&head, EmptyResponse(200), {.keep_alive = false});
  EXPECT_NE(head.find("\r\nConnection: close\r\n"), std::string::npos);
  WriteResponseHead(&head, EmptyResponse(200), {.keep_alive = true, .http_1_0 = true});
  EXPECT_NE(head.find("\r\nConnection: keep-alive\r\n"), std::string::npos);
  WriteResponseHead(&head, EmptyResponse(200), {});
  EXPECT_EQ(head.find("Connection"), std::string::npos);
}

TEST(ResponseHead, KnowsAReasonForEveryStatusInUse) {
  for (const int status : {200, 201, 204, 400, 404, 405, 408, 409, 413, 415, 422, 431, 499, 500,
                           501, 503, 504, 505, 507}) {
    EXPECT_NE(ReasonOf(status), "Unknown") << status;
  }
}

}  // namespace
}  // namespace fletching::http
