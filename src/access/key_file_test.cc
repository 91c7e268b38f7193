#include "access/key_file.h"

#include <string>

#include <gtest/gtest.h>

namespace fletching::access {
namespace {

const std::string kDigest(64, 'a');
const std::string kOther(64, 'B');

TEST(KeyFile, ReadsNamesDigestsRolesAndGrants) {
  const auto keys = ParseKeys("# a comment\n\nreader " + kDigest + " read\n  etl\t" + kOther +
                                  " none docs=write features_*=admin *=read  # of the night\r\n",
                              "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].name, "reader");
  EXPECT_EQ((*keys)[0].digest[31], 0xAA);
  EXPECT_EQ((*keys)[0].role, Role::kRead);
  EXPECT_EQ((*keys)[1].digest[0], 0xBB);
  EXPECT_EQ((*keys)[1].grants.size(), 3u);
}

TEST(KeyFile, TheMostExactGrantDecides) {
  const auto keys = ParseKeys(
      "k " + kDigest + " admin a*=read abc*=write abcd=none ab*=admin private=none\n", "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  const Key& key = (*keys)[0];
  EXPECT_EQ(key.RoleOn("other"), Role::kAdmin);
  EXPECT_EQ(key.RoleOn(""), Role::kAdmin);
  EXPECT_EQ(key.RoleOn("a"), Role::kRead);
  EXPECT_EQ(key.RoleOn("abx"), Role::kAdmin);
  EXPECT_EQ(key.RoleOn("abc"), Role::kWrite);
  EXPECT_EQ(key.RoleOn("abcd"), Role::kNone);
  EXPECT_EQ(key.RoleOn("abcde"), Role::kWrite);
  EXPECT_EQ(key.RoleOn("Private"), Role::kAdmin) << "names differ by case";
}

TEST(KeyFile, RefusesWhatItDoesNotUnderstandAndShowsNothingOfIt) {
  const std::string secret = "flk_this-is-the-secret-itself";
  const std::string good = "a " + kDigest + " read\n";
  for (const std::string& line : {
           secret,                                   // no digest
           "a " + secret + " read",                  // the secret for its digest
           "a " + kDigest.substr(1) + " read",       // short
           "a " + kDigest + "a read",                // long
           "a " + kDigest.substr(1) + "g read",      // no hex
           "a " + kDigest,                           // no role
           "a " + kDigest + " " + secret,            // no role
           "a " + kDigest + " Read",                 // no role
           "a " + kDigest + " read " + secret,       // no grant
           "a " + kDigest + " read t=" + secret,     // no role of a grant
           "a " + kDigest + " read t*x=read",        // '*' in the middle
           "a " + kDigest + " read =read",           // no table
           "a " + kDigest + " read t=read t=write",  // twice
           good + "a " + kOther + " read",           // a name twice
           good + "b " + kDigest + " read",          // a digest twice
           secret + "!" + " " + kDigest + " read",   // no name
           std::string("# nothing\n"),
           std::string(),
       }) {
    const auto keys = ParseKeys(line, "keys");
    ASSERT_FALSE(keys.ok()) << line;
    EXPECT_EQ(keys.status().message().find(secret), std::string::npos) << keys.status();
    EXPECT_EQ(keys.status().message().find("aaaa"), std::string::npos) << keys.status();
    EXPECT_NE(keys.status().message().find("keys"), std::string::npos) << keys.status();
  }
  const auto second = ParseKeys(good + "\nb x read\n", "dir/keys");
  EXPECT_EQ(second.status().message().rfind("dir/keys:3: ", 0), 0u) << second.status();
}

}  // namespace
}  // namespace fletching::access
