// The key index as it is written: every pair is found where the reader looks for it.
#include "segment/index_builder.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "io/test_folder.h"

namespace fletching::segment {
namespace {

using format::IndexBucket;
using Collision = IndexBuilder::Collision;

struct Built {
  std::vector<IndexBucket> buckets;
  IndexBuilder::Shape shape;
};

Built Build(IndexBuilder* builder, const IndexBuilder::Resolver& resolve) {
  Built built;
  const auto shape = builder->Finish(resolve, [&](std::span<const IndexBucket> buckets) {
    built.buckets.insert(built.buckets.end(), buckets.begin(), buckets.end());
    return Status::OK();
  });
  EXPECT_TRUE(shape.ok()) << shape.status();
  built.shape = *shape;
  EXPECT_EQ(built.buckets.size(), built.shape.bucket_count);
  return built;
}

Result<Collision> Different(uint32_t, uint32_t) { return Collision::kDifferentKeys; }

// Rows under the tag of this hash, along its chain, as a reader walks it.
std::vector<uint32_t> Candidates(const Built& built, uint64_t hash) {
  std::vector<uint32_t> rows;
  for (uint64_t at = HomeBucket(hash, built.shape.home_bucket_count); at < built.buckets.size();
       ++at) {
    const IndexBucket& bucket = built.buckets[at];
    for (int slot = 0; slot < bucket.used; ++slot) {
      if (bucket.tags[slot] == static_cast<uint16_t>(hash)) rows.push_back(bucket.rows[slot]);
    }
    if (bucket.overflowed == 0) break;
  }
  return rows;
}

TEST(IndexBuilder, PutsEveryRowWhereItsHashLeads) {
  for (const uint32_t count : {0u, 1u, 7u, 8u, 100u, 50'000u}) {
    std::mt19937_64 random(count);
    IndexBuilder builder;
    std::vector<uint64_t> hashes;
    for (uint32_t row = 0; row < count; ++row) {
      hashes.push_back(random());
      builder.Add(hashes.back(), row);
    }
    const Built built = Build(&builder, Different);
    EXPECT_GE(built.shape.home_bucket_count, 1u);
    EXPECT_TRUE(built.shape.dead_rows.empty());
    for (uint32_t row = 0; row < count; ++row) {
      const std::vector<uint32_t> rows = Candidates(built, hashes[row]);
      ASSERT_NE(std::find(rows.begin(), rows.end(), row), rows.end()) << row << " of " << count;
    }
    uint64_t used = 0;
    for (const IndexBucket& bucket : built.buckets) used += bucket.used;
    EXPECT_EQ(used, count);
  }
}

// All hashes in one home bucket, the last: its overflow runs into spare ones behind.
TEST(IndexBuilder, IsTheSameFromScratchMemory) {
  const io::TestFolder folder;
  auto scratch = io::ScratchMemory::Make(folder.path());
  if (scratch == nullptr) GTEST_SKIP() << "no O_TMPFILE here";
  IndexBuilder in_memory;
  IndexBuilder in_scratch(std::move(scratch));
  std::mt19937_64 random(3);
  for (uint32_t row = 0; row < 1'000'000; ++row) {
    const uint64_t hash = random();
    in_memory.Add(hash, row);
    in_scratch.Add(hash, row);
  }
  const Built one = Build(&in_memory, Different);
  const Built other = Build(&in_scratch, Different);
  ASSERT_EQ(one.buckets.size(), other.buckets.size());
  EXPECT_EQ(std::memcmp(one.buckets.data(), other.buckets.data(),
                        one.buckets.size() * sizeof(IndexBucket)),
            0);
}

TEST(IndexBuilder, HandsOnWhatABucketCannotHold) {
  for (const uint64_t high : {uint64_t{0}, uint64_t{0x7f} << 56, ~uint64_t{0} << 16}) {
    IndexBuilder builder;
    for (uint32_t row = 0; row < 95; ++row) builder.Add(high | row, row);
    const Built built = Build(&builder, Different);
    for (uint32_t row = 0; row < 95; ++row) {
      EXPECT_EQ(Candidates(built, high | row), std::vector<uint32_t>{row});
    }
    EXPECT_TRUE(Candidates(built, high | 1000).empty());
  }
}

TEST(IndexBuilder, AsksAboutTwinsAndKeepsTheWinner) {
  // Rows 0, 1, 2 have one key, row 3 another key of the same hash.
  const auto key_of = [](uint32_t row) { return row == 3 ? 1 : 0; };
  for (const Collision winner : {Collision::kNewerWins, Collision::kOlderWins}) {
    IndexBuilder builder;
    for (uint32_t row = 0; row < 4; ++row) builder.Add(42, row);
    const Built built = Build(&builder, [&](uint32_t older, uint32_t newer) -> Result<Collision> {
      return key_of(older) == key_of(newer) ? winner : Collision::kDifferentKeys;
    });
    const uint32_t kept = winner == Collision::kNewerWins ? 2 : 0;
    std::vector<uint32_t> rows = Candidates(built, 42);
    std::sort(rows.begin(), rows.end());
    EXPECT_EQ(rows, (std::vector<uint32_t>{kept, 3}));
    const std::vector<uint32_t> dead =
        winner == Collision::kNewerWins ? std::vector<uint32_t>{0, 1} : std::vector<uint32_t>{1, 2};
    EXPECT_EQ(built.shape.dead_rows, dead);
  }
}

TEST(IndexBuilder, FindsTwinsThatAreFarApartInAFullChain) {
  IndexBuilder builder;
  builder.Add(7, 0);
  for (uint32_t row = 1; row < 60; ++row) builder.Add(7 + (uint64_t{row} << 16), row);
  builder.Add(7, 60);  // the twin of row 0, added when its bucket is long full
  const Built built = Build(&builder, [](uint32_t older, uint32_t newer) -> Result<Collision> {
    return older == 0 && newer == 60 ? Collision::kNewerWins : Collision::kDifferentKeys;
  });
  EXPECT_EQ(built.shape.dead_rows, std::vector<uint32_t>{0});
}

TEST(IndexBuilder, PassesOnErrors) {
  IndexBuilder builder;
  builder.Add(1, 0);
  builder.Add(1, 1);
  const auto sink = [](std::span<const IndexBucket>) { return Status::OK(); };
  EXPECT_FALSE(builder
                   .Finish([](uint32_t,
                              uint32_t) -> Result<Collision> { return Unavailable("cannot read"); },
                           sink)
                   .ok());
  IndexBuilder other;
  other.Add(1, 0);
  EXPECT_FALSE(
      other.Finish(Different, [](std::span<const IndexBucket>) { return Unavailable("full"); })
          .ok());
}

}  // namespace
}  // namespace fletching::segment
