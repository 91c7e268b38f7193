// The two comparisons of the probe against their plain forms.
#include "segment/locate.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace fletching::segment {
namespace {

TEST(Locate, MatchesTheTagsOfUsedSlotsAndNoOthers) {
  std::mt19937 random(1);
  for (int round = 0; round < 20'000; ++round) {
    alignas(64) format::IndexBucket bucket{};
    for (uint16_t& tag : bucket.tags) tag = static_cast<uint16_t>(random() % 3);
    for (uint32_t& row : bucket.rows) row = random() % 3;
    bucket.used = static_cast<uint8_t>(random() % (format::kBucketSlots + 1));
    bucket.overflowed = static_cast<uint8_t>(random() % 2);
    const auto tag = static_cast<uint16_t>(random() % 3);
    uint32_t expected = 0;
    for (uint32_t slot = 0; slot < bucket.used; ++slot) {
      expected |= static_cast<uint32_t>(bucket.tags[slot] == tag) << slot;
    }
    ASSERT_EQ(MatchTags(bucket, tag), expected) << "round " << round;
  }
}

TEST(Locate, NeverMatchesASlotThatADamagedBucketClaims) {
  alignas(64) format::IndexBucket bucket{};
  for (int used = 0; used < 256; ++used) {
    bucket.used = static_cast<uint8_t>(used);
    EXPECT_LT(MatchTags(bucket, 0), 1u << format::kBucketSlots) << used;
  }
}

TEST(Locate, ComparesEveryByteOfAKey) {
  for (uint32_t size = 0; size <= 70; ++size) {
    std::vector<uint8_t> a(size, 7);
    std::vector<uint8_t> b = a;
    EXPECT_TRUE(KeysEqual(a.data(), b.data(), size));
    for (uint32_t at = 0; at < size; ++at) {
      b[at] ^= 0x80;
      EXPECT_FALSE(KeysEqual(a.data(), b.data(), size)) << "byte " << at << " of " << size;
      b[at] ^= 0x80;
    }
  }
}

}  // namespace
}  // namespace fletching::segment
