#include "api/decode_budget.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace fletching::api {
namespace {

TEST(DecodeBudget, IsNeverExceeded) {
  DecodeBudget budget(100);
  std::atomic<int64_t> taken = 0;
  std::vector<std::thread> threads;
  for (int n = 0; n < 8; ++n) {
    threads.emplace_back([&, n] {
      for (int turn = 0; turn < 500; ++turn) {
        const DecodeBudget::Share share(&budget, 10 + n * 10);
        EXPECT_LE(taken.fetch_add(share.bytes()) + share.bytes(), 100);
        taken.fetch_sub(share.bytes());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(DecodeBudget, GivesAllThereIsToWhoWantsMore) {
  DecodeBudget budget(100);
  EXPECT_EQ(DecodeBudget::Share(&budget, 1000).bytes(), 100);
  EXPECT_EQ(DecodeBudget::Share(&budget, 1000).bytes(), 100);
}

}  // namespace
}  // namespace fletching::api
