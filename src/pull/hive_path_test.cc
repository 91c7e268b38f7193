// Columns in the names of folders.
#include "pull/hive_path.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

namespace fletching::pull {
namespace {

TEST(HivePath, HoldsTheFoldersThatAreNamed) {
  const HiveValues values =
      ParseHivePath("country=at/raw/day=2026-11-20/x=1=2/=no/a=b.parquet").ValueOrDie();
  EXPECT_EQ(values, (HiveValues{{"country", "at"}, {"day", "2026-11-20"}, {"x", "1=2"}}));
  EXPECT_TRUE(ParseHivePath("a=b.parquet").ValueOrDie().empty());
}

TEST(HivePath, IsPercentDecoded) {
  const HiveValues values =
      ParseHivePath("a%20b=J%C3%BCrgen%2FMax%3d/c=100%/d=%zz/e=%4/f=/x").ValueOrDie();
  EXPECT_EQ(
      values,
      (HiveValues{
          {"a b", "J\xC3\xBCrgen/Max="}, {"c", "100%"}, {"d", "%zz"}, {"e", "%4"}, {"f", ""}}));
}

TEST(HivePath, KnowsNull) {
  const HiveValues values = ParseHivePath("a=__HIVE_DEFAULT_PARTITION__/x").ValueOrDie();
  EXPECT_EQ(values.at("a"), std::nullopt);
}

TEST(HivePath, OfTwoValuesForOneNameIsAnError) {
  EXPECT_TRUE(ParseHivePath("a=1/b=2/a=1/x").ok());
  const auto twice = ParseHivePath("a=1/b=2/a=3/x");
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.status().message().find("column 'a', with different values"), std::string::npos);
}

std::string Shown(const std::string& type, const std::optional<std::string>& text) {
  const ColumnSchema column{.name = "c", .type = ParseTypeName(type).ValueOrDie()};
  const auto scalar = HiveScalar(column, text);
  if (!scalar.ok()) {
    EXPECT_EQ(CodeOf(scalar.status()), ErrorCode::kSchemaMismatch);
    return scalar.status().message();
  }
  EXPECT_TRUE((*scalar)->type->Equals(*column.type)) << (*scalar)->type->ToString();
  return (*scalar)->is_valid ? (*scalar)->ToString() : "null";
}

TEST(HiveScalar, IsOfTheDeclaredType) {
  EXPECT_EQ(Shown("utf8", "01"), "01");
  EXPECT_EQ(Shown("utf8", ""), "");
  EXPECT_EQ(Shown("int8", "01"), "1");
  EXPECT_EQ(Shown("int64", "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Shown("uint64", "18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Shown("float32", "0.5"), "0.5");
  EXPECT_EQ(Shown("bool", "True"), "true");
  EXPECT_EQ(Shown("bool", "false"), "false");
  EXPECT_EQ(Shown("date32", "2026-11-20"), "2026-11-20");
  EXPECT_EQ(Shown("timestamp[us, UTC]", "2026-11-20 01:02:03"), "2026-11-20 01:02:03.000000Z");
  EXPECT_EQ(Shown("binary", std::string("\xFF\x00x", 3)), std::string("\xFF\x00x", 3));
  for (const char* type : {"utf8", "int32", "bool", "date32", "float64", "binary"}) {
    EXPECT_EQ(Shown(type, std::nullopt), "null");
  }
}

TEST(HiveScalar, ThatDoesNotFitIsAnError) {
  const auto expect = [](const std::string& type, const std::string& text) {
    const std::string why = Shown(type, text);
    EXPECT_NE(why.find("column 'c' of the folder's name: "), std::string::npos) << type << why;
  };
  expect("int8", "128");
  expect("int32", "1.0");
  expect("int32", "");
  expect("int32", " 1");
  expect("uint8", "-1");
  expect("float32", "much");
  expect("bool", "1");
  expect("date32", "20261120");
  expect("utf8", "\xFF");
}

}  // namespace
}  // namespace fletching::pull
