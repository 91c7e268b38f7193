// A pointer that is replaced under its readers.
#include "table/published.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace fletching::table {
namespace {

std::atomic<int> alive{0};

class Thing final : public Published {
 public:
  explicit Thing(int number) : first(number), second(number) { ++alive; }
  ~Thing() override {
    first = -1;
    second = -2;
    --alive;
  }
  int first;
  int second;
};

TEST(Published, KeepsWhatIsPinnedAndNothingElse) {
  {
    PublishedCell<Thing> cell;
    EXPECT_FALSE(static_cast<bool>(cell.Pin()));
    cell.Publish(new Thing(1));
    Pinned<Thing> old = cell.Pin();
    cell.Publish(new Thing(2));
    EXPECT_EQ(old->first, 1);
    EXPECT_EQ(cell.Pin()->first, 2);
    EXPECT_EQ(alive, 2);
    old = cell.Pin();
    EXPECT_EQ(alive, 1);
    cell.Publish(nullptr);
    EXPECT_EQ(old->first, 2);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Published, IsWholeForEveryReaderWhileItIsReplaced) {
  {
    PublishedCell<Thing> cell;
    cell.Publish(new Thing(0));
    std::atomic<bool> done{false};
    std::vector<std::thread> readers;
    for (int reader = 0; reader < 6; ++reader) {
      readers.emplace_back([&] {
        int last = 0;
        while (!done) {
          const Pinned<Thing> thing = cell.Pin();
          ASSERT_EQ(thing->first, thing->second);
          ASSERT_GE(thing->first, last);
          last = thing->first;
        }
      });
    }
    for (int number = 1; number <= 3000; ++number) cell.Publish(new Thing(number));
    done = true;
    for (std::thread& reader : readers) reader.join();
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace fletching::table
