// The newest rows of a table: who sees what at which commit.
#include "table/memtable.h"

#include <thread>
#include <unordered_map>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "format/log_layout.h"
#include "segment/row_encoder.h"
#include "table/test_table.h"

namespace fletching::table {
namespace {

constexpr uint64_t kSeed = 3;

// Rows of (int64 key, int64 value) as a memory table takes them.
class MemtableTest : public ::testing::Test {
 protected:
  MemtableTest()
      : layout_(segment::PlaceColumns(
            8, {{.column_id = 1, .type = arrow::int64(), .may_be_null = false}}, false)) {}

  std::vector<uint8_t> Rows(const Ints& keys, const Ints& values) const {
    const KeyBatch batch = segment::EncodeKeys({ArrayOf(arrow::int64(), keys)}).ValueOrDie();
    segment::RowBatch rows;
    rows.keys = &batch;
    rows.columns.push_back(segment::MakePhysical(ArrayOf(arrow::int64(), values)).ValueOrDie());
    std::vector<uint8_t> bytes;
    std::vector<uint64_t> starts;
    std::vector<uint32_t> sizes;
    EXPECT_TRUE(segment::EncodeRows(layout_, rows, 0, batch.count, sizeof(format::RowPrefix),
                                    &bytes, &starts, &sizes)
                    .ok());
    for (size_t i = 0; i < starts.size(); ++i) {
      StoreAs(bytes.data() + starts[i] - sizeof(format::RowPrefix),
              format::RowPrefix{0, 0, sizes[i]});
    }
    return bytes;
  }

  // The value of a key at a commit, or -1.
  int64_t At(const Memtable& memtable, int64_t key, uint64_t commit) const {
    const KeyBatch batch = segment::EncodeKeys({ArrayOf(arrow::int64(), {key})}).ValueOrDie();
    uint64_t hash = 0;
    segment::HashKeys(batch, kSeed, &hash);
    segment::KeySelection selection;
    selection.keys = &batch;
    selection.hashes = &hash;
    selection.hash_seed = kSeed;
    const uint8_t* body = nullptr;
    uint32_t row = 0;
    const int64_t found = memtable.Find(selection, commit, &body, &row);
    EXPECT_EQ(found, body != nullptr ? 1 : 0);
    return body == nullptr ? -1 : LoadAs<int64_t>(body + layout_.columns[0].slot_offset);
  }

  // Values of a scan at a commit, in order.
  std::vector<int64_t> All(const Memtable& memtable, uint64_t commit, int64_t limit) const {
    std::vector<int64_t> values;
    std::vector<ByteSpan> keys;
    std::vector<const uint8_t*> bodies;
    std::vector<uint32_t> rows;
    for (uint64_t cursor = 0; cursor != UINT64_MAX;) {
      memtable.Scan(commit, &cursor, limit, &keys, &bodies, &rows);
      EXPECT_LE(static_cast<int64_t>(keys.size()), limit);
      for (const uint8_t* body : bodies) {
        values.push_back(LoadAs<int64_t>(body + layout_.columns[0].slot_offset));
      }
    }
    return values;
  }

  using KeyBatch = segment::KeyBatch;
  const segment::RowLayout layout_;
};

TEST_F(MemtableTest, ShowsEachReaderTheRowsOfItsCommit) {
  Memtable memtable(layout_, kSeed, -1, 1 << 16);
  ASSERT_TRUE(memtable.Insert(Rows({1, 2, 1}, {10, 20, 11}), 5, "test").ok());
  ASSERT_TRUE(memtable.Insert(Rows({1, 3}, {12, 30}), 7, "test").ok());
  EXPECT_EQ(At(memtable, 1, 4), -1);
  EXPECT_EQ(At(memtable, 1, 5), 11);
  EXPECT_EQ(At(memtable, 1, 6), 11);
  EXPECT_EQ(At(memtable, 1, 7), 12);
  EXPECT_EQ(At(memtable, 3, 6), -1);
  EXPECT_EQ(At(memtable, 3, UINT64_MAX), 30);
  for (const int64_t limit : {1, 2, 100}) {
    EXPECT_EQ(All(memtable, 4, limit), std::vector<int64_t>{});
    EXPECT_EQ(All(memtable, 5, limit), (std::vector<int64_t>{20, 11}));
    EXPECT_EQ(All(memtable, 7, limit), (std::vector<int64_t>{20, 12, 30}));
  }
  EXPECT_EQ(memtable.row_count(), 5u);
  EXPECT_EQ(memtable.key_count(), 3u);
}

TEST_F(MemtableTest, ShowsTheNewestEventNotTheLastRow) {
  Memtable memtable(layout_, kSeed, 0, 1 << 16);
  ASSERT_TRUE(memtable.Insert(Rows({1, 1, 1}, {50, 90, 70}), 1, "test").ok());
  EXPECT_EQ(At(memtable, 1, 1), 90);
  ASSERT_TRUE(memtable.Insert(Rows({1}, {80}), 2, "test").ok());
  EXPECT_EQ(At(memtable, 1, 2), 90);
  ASSERT_TRUE(memtable.Insert(Rows({1}, {100}), 3, "test").ok());
  EXPECT_EQ(At(memtable, 1, 2), 90);
  EXPECT_EQ(At(memtable, 1, 3), 100);
  EXPECT_EQ(All(memtable, 2, 100), std::vector<int64_t>{90});
}

TEST_F(MemtableTest, SaysBeforeItIsFull) {
  Memtable memtable(layout_, kSeed, -1, 1 << 16);
  int64_t key = 0;
  const std::vector<uint8_t> one = Rows({0}, {0});
  while (memtable.Fits(one.size(), 1)) {
    ASSERT_TRUE(memtable.Insert(Rows({key}, {key}), static_cast<uint64_t>(key) + 1, "test").ok());
    ++key;
  }
  EXPECT_GT(key, 500);
  for (int64_t i = 0; i < key; ++i) ASSERT_EQ(At(memtable, i, UINT64_MAX), i);
  EXPECT_EQ(At(memtable, key, UINT64_MAX), -1);  // a search in a full table ends
}

// Two keys with the same 32-bit tag and the same first slot of a small hash table.
TEST_F(MemtableTest, TellsKeysApartWhoseHashesAgreeInAllItKeeps) {
  constexpr uint64_t kSlots = 64;
  std::unordered_map<uint64_t, int64_t> seen;
  std::pair<int64_t, int64_t> twins = {-1, -1};
  for (int64_t key = 0; twins.first < 0; ++key) {
    ASSERT_LT(key, 10'000'000);
    const uint64_t hash = segment::HashKey({reinterpret_cast<const uint8_t*>(&key), 8}, kSeed);
    const auto [first, is_new] = seen.emplace((hash >> 32) * kSlots + hash % kSlots, key);
    if (!is_new) twins = {first->second, key};
  }
  Memtable memtable(layout_, kSeed, -1, kSlots * 64);
  ASSERT_TRUE(memtable.Insert(Rows({twins.first}, {1}), 1, "test").ok());
  EXPECT_EQ(At(memtable, twins.first, 9), 1);
  EXPECT_EQ(At(memtable, twins.second, 9), -1);
  ASSERT_TRUE(memtable.Insert(Rows({twins.second}, {2}), 2, "test").ok());
  EXPECT_EQ(At(memtable, twins.first, 9), 1);
  EXPECT_EQ(At(memtable, twins.second, 9), 2);
  EXPECT_EQ(memtable.key_count(), 2u);
}

TEST_F(MemtableTest, RefusesRowsThatDoNotParse) {
  const std::vector<uint8_t> good = Rows({1}, {1});
  for (const uint32_t row_bytes : {0u, 1u, 16u, 1000u}) {
    Memtable memtable(layout_, kSeed, -1, 1 << 16);
    std::vector<uint8_t> bytes = good;
    StoreAs(bytes.data() + offsetof(format::RowPrefix, row_bytes), row_bytes);
    const Status status = memtable.Insert(bytes, 1, "x.fllog");
    ASSERT_FALSE(status.ok()) << row_bytes;
    EXPECT_EQ(CodeOf(status), ErrorCode::kCorruption);
  }
}

TEST_F(MemtableTest, IsReadWhileRowsComeIn) {
  Memtable memtable(layout_, kSeed, -1, 1 << 20);
  std::atomic<uint64_t> published{0};
  std::thread writer([&] {
    for (uint64_t commit = 1; commit <= 2000; ++commit) {
      const auto value = static_cast<int64_t>(commit);
      ASSERT_TRUE(memtable.Insert(Rows({1, value % 50 + 2}, {value, value}), commit, "test").ok());
      published.store(commit, std::memory_order_release);
    }
  });
  while (published.load() < 2000) {
    const uint64_t commit = published.load(std::memory_order_acquire);
    if (commit == 0) continue;
    ASSERT_EQ(At(memtable, 1, commit), static_cast<int64_t>(commit));
  }
  writer.join();
  EXPECT_EQ(At(memtable, 1, 1), 1);
}

}  // namespace
}  // namespace fletching::table
