#include "access/guard.h"

#include <cstdio>
#include <fstream>
#include <stdlib.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/metric_names.h"
#include "base/metrics.h"
#include "store/digest.h"

namespace fletching::access {
namespace {

std::string HexDigest(std::string_view secret) {
  EXPECT_TRUE(store::LoadDigests().ok());
  std::string hex;
  for (const uint8_t byte : store::Sha256(AsBytes(secret))) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    hex += digits;
  }
  return hex;
}

class GuardTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/guardXXXXXX";
    file_ = std::string(mkdtemp(folder.data())) + "/keys";
    Put(Line("reader", "read") + Line("writer", "write") + Line("root", "admin") +
        Line("etl", "none docs=write tmp_*=admin"));
    auto guard = Guard::Open(file_, &metrics_);
    ASSERT_TRUE(guard.ok()) << guard.status();
    guard_ = *std::move(guard);
  }

  static std::string Line(const std::string& name, const std::string& rest) {
    return name + " " + HexDigest("secret of " + name) + " " + rest + "\n";
  }
  void Put(const std::string& text) const { std::ofstream(file_) << text; }
  Result<Caller> Known(const std::string& name) const {
    return guard_->Identify("secret of " + name);
  }

  Metrics metrics_;
  std::string file_;
  std::unique_ptr<Guard> guard_;
};

struct Case {
  const char* key;
  Need need;
  const char* table;
  bool allowed;
};

TEST_F(GuardTest, DecidesByKeyNeedAndTable) {
  for (const Case& it : std::vector<Case>{
           {"reader", Need::kOpen, "", true},
           {"reader", Need::kAnyKey, "", true},
           {"reader", Need::kRead, "docs", true},
           {"reader", Need::kWrite, "docs", false},
           {"reader", Need::kAdmin, "docs", false},
           {"writer", Need::kRead, "docs", true},
           {"writer", Need::kWrite, "docs", true},
           {"writer", Need::kAdmin, "docs", false},
           {"root", Need::kAdmin, "docs", true},
           {"root", Need::kUnset, "docs", false},
           {"etl", Need::kAnyKey, "", true},
           {"etl", Need::kRead, "docs", true},
           {"etl", Need::kWrite, "docs", true},
           {"etl", Need::kAdmin, "docs", false},
           {"etl", Need::kRead, "docs2", false},
           {"etl", Need::kRead, "", false},
           {"etl", Need::kAdmin, "tmp_1", true},
           {"etl", Need::kRead, "tmp", false},
       }) {
    const auto caller = Known(it.key);
    ASSERT_TRUE(caller.ok()) << caller.status();
    const Status status = guard_->Check(*caller, it.need, it.table);
    EXPECT_EQ(status.ok(), it.allowed) << it.key << " " << it.table << ": " << status;
    if (!status.ok()) {
      EXPECT_EQ(CodeOf(status), ErrorCode::kForbidden);
    }
  }
  EXPECT_EQ(guard_->Check(*Known("etl"), Need::kWrite, "users").message(),
            "the key has role none on table 'users'; this needs write");
}

TEST_F(GuardTest, KnowsNobodyWithoutTheRightSecret) {
  const std::string digest = HexDigest("secret of reader");
  for (const std::optional<std::string_view>& secret : std::vector<std::optional<std::string_view>>{
           std::nullopt, "", "secret of reade", "secret of reader ", "Secret of reader", digest,
           std::string_view("secret of reader\0", 17)}) {
    const Status status = guard_->Identify(secret).status();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(CodeOf(status), ErrorCode::kUnauthenticated);
    EXPECT_EQ(status.message().find("reade"), std::string::npos) << status;
  }
  EXPECT_FALSE(guard_->Identify(std::string(100'000, 'x')).ok());
  EXPECT_EQ(metrics_.Get(metric::kRejected, {"unauthenticated"})->Value(), 8);
}

TEST_F(GuardTest, CountsWhatIsForbidden) {
  EXPECT_FALSE(guard_->Check(*Known("reader"), Need::kWrite, "t").ok());
  EXPECT_EQ(metrics_.Get(metric::kRejected, {"forbidden"})->Value(), 1);
}

TEST_F(GuardTest, ReadsTheFileAgainOrKeepsItsKeys) {
  const Caller before = *Known("reader");
  Put(Line("reader", "write") + Line("new", "read"));
  EXPECT_FALSE(Known("new").ok()) << "not before it is told to";
  ASSERT_TRUE(guard_->Reload().ok());
  EXPECT_TRUE(Known("new").ok());
  EXPECT_FALSE(Known("root").ok());
  EXPECT_TRUE(guard_->Check(*Known("reader"), Need::kWrite, "t").ok());
  EXPECT_FALSE(guard_->Check(before, Need::kWrite, "t").ok()) << "who is inside keeps its rights";
  for (const std::string& broken : {std::string("x"), std::string(), std::string(2 << 20, '#')}) {
    Put(broken);
    EXPECT_FALSE(guard_->Reload().ok());
    EXPECT_TRUE(Known("new").ok());
  }
  std::remove(file_.c_str());
  EXPECT_FALSE(guard_->Reload().ok());
  EXPECT_TRUE(Known("new").ok());
  EXPECT_EQ(guard_->key_count(), 2u);
}

TEST_F(GuardTest, IsAskedByManyThreadsWhileItReloads) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 200; ++turn) EXPECT_TRUE(Known("reader").ok());
    });
  }
  for (int turn = 0; turn < 50; ++turn) EXPECT_TRUE(guard_->Reload().ok());
  for (std::thread& thread : threads) thread.join();
}

TEST_F(GuardTest, SeesWhoElseCanReadTheFile) {
  ASSERT_EQ(chmod(file_.c_str(), 0640), 0);
  EXPECT_FALSE(guard_->is_exposed());
  ASSERT_EQ(chmod(file_.c_str(), 0644), 0);
  EXPECT_TRUE(guard_->is_exposed());
}

TEST(Guard, NamesTheFileThatItCannotRead) {
  for (const char* file : {"/nowhere/keys", "/tmp"}) {
    const Status status = Guard::Open(file, nullptr).status();
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(file), std::string::npos) << status;
  }
}

TEST(Guard, TakesTheSecretOutOfTheHeader) {
  EXPECT_EQ(BearerOf("Bearer abc"), "abc");
  EXPECT_EQ(BearerOf("bEARER  abc"), "abc");
  for (const char* other :
       {"", "Bearer", "Bearer ", "Bearer   ", "Basic abc", "abc", "Bearerabc"}) {
    EXPECT_EQ(BearerOf(other), std::nullopt) << other;
  }
}

TEST(Caller, OfAServerWithoutKeysMayDoEverything) {
  EXPECT_TRUE(Caller().May(Need::kAdmin, "docs"));
}

}  // namespace
}  // namespace fletching::access
