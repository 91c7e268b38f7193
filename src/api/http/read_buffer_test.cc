#include "api/http/read_buffer.h"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace fletching::http {
namespace {

void Put(ReadBuffer* buffer, std::string_view text, size_t room) {
  const std::span<uint8_t> target = buffer->Room(room);
  ASSERT_GE(target.size(), text.size());
  std::memcpy(target.data(), text.data(), text.size());
  buffer->Add(text.size());
}

std::string Held(const ReadBuffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data().data()), buffer.data().size()};
}

TEST(ReadBuffer, KeepsWhatWasNotUsed) {
  ReadBuffer buffer;
  Put(&buffer, "hello world", 16);
  buffer.Use(6);
  EXPECT_EQ(Held(buffer), "world");
  Put(&buffer, "!", 100'000);  // moves
  EXPECT_EQ(Held(buffer), "world!");
  buffer.Use(6);
  EXPECT_TRUE(buffer.empty());
}

TEST(ReadBuffer, ShrinksOnceItIsEmpty) {
  ReadBuffer buffer;
  Put(&buffer, "x", 1 << 20);
  EXPECT_GE(buffer.Room(10).size(), size_t{1} << 19);  // not while something is held
  buffer.Use(1);
  EXPECT_LE(buffer.Room(ReadBuffer::kSmallBytes).size(), ReadBuffer::kSmallBytes);
}

}  // namespace
}  // namespace fletching::http
