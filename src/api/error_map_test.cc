#include "api/error_map.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace fletching::api {
namespace {

TEST(ErrorMap, HasARowForEveryCode) {
  std::set<ErrorCode> codes;
  for (const ErrorAnswer& answer : ErrorAnswers()) codes.insert(answer.code);
  EXPECT_EQ(codes.size(), ErrorAnswers().size());
  for (int code = 1; code <= static_cast<int>(ErrorCode::kForbidden); ++code) {
    EXPECT_TRUE(codes.contains(static_cast<ErrorCode>(code))) << code;
  }
}

TEST(ErrorMap, NeverBlamesTheServerForAMistakeOfTheClient) {
  EXPECT_EQ(HttpStatusOf(InvalidArgument("x")), 400);
  EXPECT_EQ(HttpStatusOf(SchemaMismatch("x")), 400);
  EXPECT_EQ(HttpStatusOf(NotFound("table", "x")), 404);
  EXPECT_EQ(HttpStatusOf(AlreadyExists("table", "x")), 409);
  EXPECT_EQ(HttpStatusOf(TooLarge("x")), 413);
  EXPECT_EQ(HttpStatusOf(StorageFull("x")), 507);
  EXPECT_EQ(HttpStatusOf(Corruption("f", 1, "x")), 500);
  // What Arrow's own readers say about bytes from outside.
  EXPECT_EQ(HttpStatusOf(arrow::Status::Invalid("x")), 400);
  EXPECT_EQ(HttpStatusOf(arrow::Status::TypeError("x")), 400);
}

// docs/protocol.md shows the same table: "| invalid_argument | 400 | INVALID_ARGUMENT | ... |".
TEST(ErrorMap, IsTheTableOfTheDocumentation) {
  std::ifstream file(FLETCHING_SOURCE_DIR "/docs/protocol.md");
  ASSERT_TRUE(file) << "docs/protocol.md is missing";
  std::stringstream text;
  text << file.rdbuf();
  for (const ErrorAnswer& answer : ErrorAnswers()) {
    std::string row = "| " + std::string(CodeName(answer.code)) + " | ";
    row += std::to_string(answer.http_status) + " | " + std::string(answer.flight) + " | `";
    row += std::string(answer.python) + "` |";
    EXPECT_NE(text.str().find(row), std::string::npos) << "docs/protocol.md lacks: " << row;
  }
}

}  // namespace
}  // namespace fletching::api
