// A row cache gives back what was put in, or nothing; keeps what is used; and never grows.
#include "segment/row_cache.h"

#include <random>
#include <thread>

#include <gtest/gtest.h>

namespace fletching::segment {
namespace {

// What a row holds follows from its place.
std::vector<uint8_t> RowOf(uint32_t segment_id, uint32_t row, size_t size) {
  std::mt19937 random(segment_id * 1'000'003 + row);
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}
size_t SizeOf(uint32_t row) { return 1 + row * 37 % (row % 50 == 0 ? 4096 : 200); }

bool Holds(RowCache* cache, uint32_t segment_id, uint32_t row) {
  RowArena arena;
  const ByteSpan found = cache->Find(segment_id, row, &arena);
  if (found.empty()) return false;
  const std::vector<uint8_t> expected = RowOf(segment_id, row, SizeOf(row));
  EXPECT_TRUE(std::equal(found.begin(), found.end(), expected.begin(), expected.end()));
  return true;
}
void Put(RowCache* cache, uint32_t segment_id, uint32_t row) {
  cache->Add(segment_id, row, RowOf(segment_id, row, SizeOf(row)));
}

TEST(RowCache, GivesBackWhatWasPutIn) {
  RowCache cache(1 << 20);
  std::mt19937 random(1);
  int64_t hits = 0;
  for (int step = 0; step < 50'000; ++step) {
    const uint32_t segment_id = random() % 3;
    const uint32_t row = random() % 10'000;
    if (Holds(&cache, segment_id, row)) {
      ++hits;
    } else {
      Put(&cache, segment_id, row);
      EXPECT_TRUE(Holds(&cache, segment_id, row));
    }
  }
  EXPECT_GT(hits, 2'000);
}

TEST(RowCache, KeepsWhatIsUsed) {
  RowCache cache(1 << 20);
  std::mt19937 random(2);
  int64_t hot_misses = 0;
  int64_t hot_count = 0;
  for (int step = 0; step < 100'000; ++step) {
    const bool is_hot = random() % 2 == 0;
    const uint32_t row = is_hot ? random() % 1000 : 1000 + random() % 1'000'000;
    const bool is_here = Holds(&cache, 7, row);
    if (!is_here) Put(&cache, 7, row);
    if (is_hot && step > 20'000) {
      ++hot_count;
      hot_misses += is_here ? 0 : 1;
    }
  }
  EXPECT_LT(hot_misses * 20, hot_count);  // the flood of others takes hardly any of them
}

TEST(RowCache, WithoutRoomNothingIsKept) {
  RowCache cache(100);
  Put(&cache, 1, 1);
  EXPECT_FALSE(Holds(&cache, 1, 1));
  EXPECT_EQ(cache.size_bytes(), 0U);
  RowCache some(1 << 16);
  some.Add(1, 1, std::vector<uint8_t>(5000));  // longer than any it keeps
  RowArena arena;
  EXPECT_TRUE(some.Find(1, 1, &arena).empty());
}

TEST(RowCache, ManyThreads) {
  RowCache cache(1 << 16);
  std::vector<std::thread> threads;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int step = 0; step < 5'000; ++step) {
        const uint32_t row = random() % 500;
        if (!Holds(&cache, 1, row)) Put(&cache, 1, row);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace fletching::segment
