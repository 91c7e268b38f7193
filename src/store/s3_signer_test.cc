#include "store/s3_signer.h"

#include <gtest/gtest.h>

#include "store/digest.h"

namespace fletching::store {
namespace {

// The examples of "Authenticating Requests: Using the Authorization Header", Amazon S3 API
// Reference.
const Credentials kExample{.access_key = "AKIAIOSFODNN7EXAMPLE",
                           .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
constexpr int64_t kExampleUs = 1'369'353'600'000'000;  // 2013-05-24T00:00:00Z

SignInput Example() {
  return {.method = "GET",
          .host = "examplebucket.s3.amazonaws.com",
          .path = "/",
          .payload_sha256 = HexSha256({}),
          .region = "us-east-1",
          .now_us = kExampleUs};
}

std::string SignatureOf(const SignInput& input, const Credentials& credentials = kExample) {
  for (const std::string& header : SignedHeaders(input, credentials)) {
    const size_t at = header.find("Signature=");
    if (at != std::string::npos) return header.substr(at + 10);
  }
  return "";
}

class S3Signer : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(LoadDigests().ok()); }
};

TEST_F(S3Signer, SignsAnObjectWithARange) {
  SignInput input = Example();
  input.path = "/test.txt";
  input.headers = {{"range", "bytes=0-9"}};
  EXPECT_EQ(SignatureOf(input), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_F(S3Signer, SignsAQueryInItsOrderWhateverOrderItCameIn) {
  SignInput input = Example();
  input.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(SignatureOf(input), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  input.query = {{"lifecycle", ""}};
  EXPECT_EQ(SignatureOf(input), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST_F(S3Signer, SignsABody) {
  SignInput input = Example();
  input.method = "PUT";
  input.path = EncodePath("/test$file.text");
  input.headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                   {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  input.payload_sha256 = HexSha256(AsBytes("Welcome to Amazon S3."));
  EXPECT_EQ(SignatureOf(input), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_F(S3Signer, SignsTheSessionTokenToo) {
  Credentials with_token = kExample;
  with_token.session_token = "token";
  EXPECT_NE(SignatureOf(Example(), with_token), SignatureOf(Example()));
}

TEST_F(S3Signer, SignsNothingWithoutCredentials) {
  const std::vector<std::string> headers = SignedHeaders(Example(), {});
  EXPECT_EQ(headers, std::vector<std::string>{"host: examplebucket.s3.amazonaws.com"});
}

TEST_F(S3Signer, EncodesAllButThePlainLetters) {
  EXPECT_EQ(EncodePath("/a b+c/\xC3\xBC~'()*!"), "/a%20b%2Bc/%C3%BC~%27%28%29%2A%21");
  EXPECT_EQ(EncodeValue("a/b=&"), "a%2Fb%3D%26");
  EXPECT_EQ(EncodeQuery({{"b", "x y"}, {"a", ""}}), "a=&b=x%20y");
}

TEST_F(S3Signer, KnowsTheEtagOfParts) {
  // md5("a") and md5("b"); the MD5 of both, as md5sum gives it.
  const std::string a = "\"0cc175b9c0f1b6a831c399e269772661\"";
  const std::string b = "92eb5ffee6ae2fec3ad71c777531578f";
  const std::string both = EtagOfParts({a, b});
  EXPECT_EQ(both, "\"96e024ba2074fe77e8e965ba43a704be-2\"");
  EXPECT_EQ(EtagOfParts({a, "\"not-an-md5\""}), "");
  EXPECT_EQ(EtagOfParts({a, "\"zzc175b9c0f1b6a831c399e269772661\""}), "");
}

}  // namespace
}  // namespace fletching::store
