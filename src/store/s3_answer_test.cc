#include "store/s3_answer.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::store {
namespace {

constexpr char kPage[] =
    R"(<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>features</Name><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
  <NextContinuationToken>abc==</NextContinuationToken>
  <Contents><Key>a%2Fb+c%C3%BC</Key><Size>12</Size><ETag>&quot;0f-2&quot;</ETag>
    <LastModified>2024-01-02T03:04:05.678Z</LastModified></Contents>
  <CommonPrefixes><Prefix>d%2F</Prefix></CommonPrefixes>
</ListBucketResult>)";

TEST(S3Answer, ReadsAPage) {
  const ObjectPage page = ParseListPage(AsBytes(kPage)).ValueOrDie();
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, "a/b c\xC3\xBC");
  EXPECT_EQ(page.objects[0].size_bytes, 12u);
  EXPECT_EQ(page.objects[0].etag, "\"0f-2\"");
  EXPECT_EQ(page.objects[0].modified_us, 1'704'164'645'678'000);
  EXPECT_EQ(page.folders, std::vector<std::string>{"d/"});
  EXPECT_EQ(page.next_page, "abc==");
}

TEST(S3Answer, RefusesAPageCutAtEveryByte) {
  const std::string page = kPage;
  for (size_t bytes = 0; bytes + 1 < page.size(); ++bytes) {
    EXPECT_FALSE(ParseListPage(AsBytes(page.substr(0, bytes))).ok()) << bytes;
  }
}

TEST(S3Answer, RefusesWhatIsNoPage) {
  const std::string answers[] = {
      "",
      "<html><body>login</body></html>",
      "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>a</Key><Size>1e9</Size></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
  };
  for (const std::string& answer : answers) {
    const Result<ObjectPage> page = ParseListPage(AsBytes(answer));
    ASSERT_FALSE(page.ok()) << answer;
    EXPECT_EQ(CodeOf(page.status()), ErrorCode::kUnavailable);
  }
}

TEST(S3Answer, SurvivesDepthAndEntities) {
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += "<a>";
  EXPECT_FALSE(ParseListPage(AsBytes(deep)).ok());
  const std::string bomb =
      "<!DOCTYPE x [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>"
      "<Error><Code>&b;&b;</Code><Message>m</Message></Error>";
  EXPECT_EQ(ParseS3Error(bomb).code.find("aaaa"), std::string::npos);
  EXPECT_FALSE(ParseListPage(std::vector<uint8_t>(kAnswerBytesMax + 1, '<')).ok());
}

TEST(S3Answer, ReadsAnErrorAndBoundsItsWords) {
  const S3Error error =
      ParseS3Error("<Error><Code>SlowDown</Code><Message>a\nb" + std::string(5000, 'x') +
                   "</Message><Region>eu-west-1</Region></Error>");
  EXPECT_EQ(error.code, "SlowDown");
  EXPECT_EQ(error.region, "eu-west-1");
  EXPECT_EQ(error.message.substr(0, 3), "a b");
  EXPECT_EQ(error.message.size(), 300u);
  EXPECT_EQ(ParseS3Error("<html>").code, "");
  EXPECT_EQ(ParseS3Error("<Code>x</Code>").code, "");
}

TEST(S3Answer, ReadsOneField) {
  EXPECT_EQ(*ParseAnswerField(AsBytes("<R><UploadId>u1</UploadId></R>"), "UploadId"), "u1");
  EXPECT_FALSE(ParseAnswerField(AsBytes("<R></R>"), "UploadId").ok());
}

TEST(S3Answer, ReadsBothKindsOfDate) {
  EXPECT_EQ(ParseHttpDateUs("Tue, 02 Jan 2024 03:04:05 GMT"), 1'704'164'645'000'000);
  EXPECT_EQ(ParseHttpDateUs("2024-01-02T03:04:05Z"), 1'704'164'645'000'000);
  EXPECT_EQ(ParseHttpDateUs("yesterday"), 0);
}

}  // namespace
}  // namespace fletching::store
