#include "fletching/status.h"

#include <cerrno>
#include <set>

#include "arrow/util/io_util.h"
#include <gtest/gtest.h>

namespace fletching {
namespace {

TEST(Status, KeepsItsCodeThroughACopyAndAResult) {
  for (int value = 1; value <= 14; ++value) {
    const auto code = static_cast<ErrorCode>(value);
    const Status status = MakeError(code, "why");
    const Result<int> result = status;
    EXPECT_EQ(CodeOf(result.status()), code);
    EXPECT_EQ(result.status().message(), "why");
  }
}

TEST(Status, NamesEveryCodeDifferently) {
  std::set<std::string_view> names;
  for (int value = 1; value <= 14; ++value) names.insert(CodeName(static_cast<ErrorCode>(value)));
  EXPECT_EQ(names.size(), 14u);
  EXPECT_EQ(CodeName(ErrorCode::kNotFound), "not_found");
}

TEST(Status, SaysWhatAndWhere) {
  EXPECT_EQ(NotFound("table", "x").message(), "table 'x' does not exist");
  EXPECT_EQ(AlreadyExists("table", "x").message(), "table 'x' already exists");
  EXPECT_EQ(Corruption("a.flseg", 4096, "block checksum differs").message(),
            "a.flseg: offset 4096: block checksum differs");
}

TEST(Status, FindsTheNearestCodeOfArrowsOwnErrors) {
  EXPECT_EQ(CodeOf(Status::Invalid("x")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Status::TypeError("x")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Status::KeyError("x")), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(Status::IOError("x")), ErrorCode::kUnavailable);
  EXPECT_EQ(CodeOf(Status::NotImplemented("x")), ErrorCode::kUnsupported);
  EXPECT_EQ(CodeOf(Status::Cancelled("x")), ErrorCode::kCancelled);
  EXPECT_EQ(CodeOf(Status::OutOfMemory("x")), ErrorCode::kTooLarge);
  EXPECT_EQ(CodeOf(Status::UnknownError("x")), ErrorCode::kInternal);
}

TEST(Status, TellsAFullDiskFromOtherInputOutputErrors) {
  EXPECT_EQ(CodeOf(arrow::internal::IOErrorFromErrno(ENOSPC, "x")), ErrorCode::kStorageFull);
  EXPECT_EQ(CodeOf(arrow::internal::IOErrorFromErrno(EIO, "x")), ErrorCode::kUnavailable);
}

TEST(Status, HasNoCodeWhenAllIsWell) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(CodeOf(Status::OK()), "status.ok");
}

}  // namespace
}  // namespace fletching
