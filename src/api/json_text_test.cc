#include "api/json_text.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "api/json_tree.h"

namespace fletching::api {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(&out, text);
  return out;
}
std::string Double(double value) {
  std::string out;
  AppendJsonDouble(&out, value);
  return out;
}
std::string Base64(std::string_view bytes) {
  std::string out;
  AppendJsonBase64(&out, AsBytes(bytes));
  return out;
}

TEST(JsonText, EscapesWhatMustBe) {
  EXPECT_EQ(Quoted("a\"b\\c\n\r\t\x01\x1f"), R"("a\"b\\c\n\r\t\u0001\u001f")");
  EXPECT_EQ(Quoted(std::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(Quoted("\xC3\xA9 \xF0\x9F\x99\x82 \x7f"), "\"\xC3\xA9 \xF0\x9F\x99\x82 \x7f\"");
}

TEST(JsonText, RepairsWhatIsNoUtf8) {
  for (const std::string_view text : {"\xff", "a\xC3", "\xE2\x82", "\xC3(", "\xED\xA0\x80x"}) {
    const std::string quoted = Quoted(text);
    EXPECT_TRUE(ParseJson(quoted).ok()) << quoted;
    EXPECT_NE(quoted.find("\xEF\xBF\xBD"), std::string::npos);
  }
}

TEST(JsonText, EveryByteComesBack) {
  std::string text;
  for (char c = 0; c < 127; ++c) text.push_back(c);
  const auto parsed = ParseJson(Quoted(text));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->text, text);
}

TEST(JsonText, WritesShortestDigitsThatReadBack) {
  EXPECT_EQ(Double(0.1), "0.1");
  EXPECT_EQ(Double(static_cast<double>(0.1F)), "0.10000000149011612");
  EXPECT_EQ(Double(1), "1.0");
  EXPECT_EQ(Double(-0.0), "-0.0");
  EXPECT_EQ(Double(1e300), "1e+300");
  EXPECT_EQ(Double(NAN), "null");
  EXPECT_EQ(Double(INFINITY), "null");
  EXPECT_EQ(Double(-INFINITY), "null");
  for (const double value : {5e-324, std::numeric_limits<double>::max(), 123456789012345678.0}) {
    EXPECT_EQ(std::strtod(Double(value).c_str(), nullptr), value);
  }
}

TEST(JsonText, WritesIntegersExactly) {
  std::string out;
  AppendJsonInt(&out, INT64_MIN);
  out += ' ';
  AppendJsonUint(&out, UINT64_MAX);
  EXPECT_EQ(out, "-9223372036854775808 18446744073709551615");
}

TEST(JsonText, PadsBase64) {
  EXPECT_EQ(Base64(""), "\"\"");
  EXPECT_EQ(Base64("a"), "\"YQ==\"");
  EXPECT_EQ(Base64("ab"), "\"YWI=\"");
  EXPECT_EQ(Base64("abc"), "\"YWJj\"");
  EXPECT_EQ(Base64("\xff\xfe\xfd\xfc"), "\"//79/A==\"");
}

}  // namespace
}  // namespace fletching::api
