#include "arrow/type.h"
#include <gtest/gtest.h>

#include "fletching/schema.h"

namespace fletching {
namespace {

using ::testing::TestWithParam;

class EveryTypeName : public TestWithParam<std::string> {};

TEST_P(EveryTypeName, ReadsAndWritesTheSame) {
  const auto type = ParseTypeName(GetParam());
  ASSERT_TRUE(type.ok()) << type.status();
  EXPECT_EQ(TypeName(**type), GetParam());
  EXPECT_TRUE(CheckType(**type).ok());
}

INSTANTIATE_TEST_SUITE_P(
    All, EveryTypeName,
    ::testing::Values("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                      "uint64", "float16", "float32", "float64", "utf8", "binary", "date32",
                      "time32[s]", "time32[ms]", "time64[us]", "time64[ns]", "timestamp[s]",
                      "timestamp[ms]", "timestamp[us]", "timestamp[ns]", "timestamp[us, UTC]",
                      "timestamp[ms, Europe/Berlin]", "list<utf8>", "list<int64>", "list<float32>",
                      "fixed_size_list<float32>[128]", "fixed_size_list<int8>[1]"));

TEST(ParseTypeName, TakesOtherWordsForTheSameType) {
  EXPECT_TRUE((*ParseTypeName("string"))->Equals(arrow::utf8()));
  EXPECT_TRUE((*ParseTypeName("float"))->Equals(arrow::float32()));
  EXPECT_TRUE((*ParseTypeName("double"))->Equals(arrow::float64()));
  EXPECT_TRUE((*ParseTypeName("date"))->Equals(arrow::date32()));
  EXPECT_TRUE((*ParseTypeName("time"))->Equals(arrow::time64(arrow::TimeUnit::MICRO)));
  EXPECT_TRUE((*ParseTypeName("timestamp"))->Equals(arrow::timestamp(arrow::TimeUnit::MICRO)));
  EXPECT_TRUE((*ParseTypeName("timestamp[us, tz=UTC]"))
                  ->Equals(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")));
}

TEST(ParseTypeName, SuggestsTheNearestName) {
  const Status status = ParseTypeName("flaot32").status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidArgument);
  EXPECT_NE(status.message().find("did you mean 'float32'?"), std::string::npos) << status;
  EXPECT_NE(status.message().find("uint16"), std::string::npos) << status;
}

TEST(ParseTypeName, RefusesWhatItCannotStoreOrRead) {
  for (const char* name :
       {"", "list<>", "list<list<int8>>", "list<bool>", "fixed_size_list<float32>",
        "fixed_size_list<float32>[0]", "fixed_size_list<float32>[-1]",
        "fixed_size_list<float32>[99999999999]", "fixed_size_list<float32>[1000000]",
        "fixed_size_list<utf8>[2]", "fixed_size_list<float32>[2", "timestamp[]", "timestamp[xs]",
        "timestamp[us, ]", "timestamp[us", "int32 ", "INT32", "decimal(3, 2)"}) {
    EXPECT_FALSE(ParseTypeName(name).ok()) << name;
  }
  EXPECT_LT(ParseTypeName(std::string(1 << 20, 'x')).status().message().size(), 1000u);
}

TEST(TypeName, NamesForeignTypesAsArrowDoes) {
  EXPECT_EQ(TypeName(*arrow::large_utf8()), "large_string");
}

}  // namespace
}  // namespace fletching
