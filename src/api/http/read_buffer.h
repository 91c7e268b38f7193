// Bytes of a connection that came in and were not used yet.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace fletching::http {

class ReadBuffer {
 public:
  // What an idle connection keeps. A request of 1,000 keys comes in one read.
  static constexpr size_t kSmallBytes = 32 * 1024;

  ByteSpan data() const { return {bytes_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }

  // Takes `count` bytes off the front.
  void Use(size_t count) {
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
  }

  // Room for at least `count` more; Add says how many came. When nothing is held, what a long body
  // needed goes back.
  std::span<uint8_t> Room(size_t count) {
    const bool oversized = empty() && capacity_ > kSmallBytes && count <= kSmallBytes;
    if (capacity_ - end_ < count || oversized) Reallocate(count, oversized);
    return {bytes_.get() + end_, capacity_ - end_};
  }
  void Add(size_t count) { end_ += count; }

 private:
  void Reallocate(size_t count, bool oversized) {
    const size_t held = end_ - begin_;
    const size_t capacity = std::max(held + count, oversized ? kSmallBytes : capacity_);
    // Not filled with zeros: pages that no client has written to cost nothing.
    std::unique_ptr<uint8_t[]> fresh(new uint8_t[capacity]);
    if (held > 0) std::copy_n(bytes_.get() + begin_, held, fresh.get());
    bytes_ = std::move(fresh);
    begin_ = 0;
    end_ = held;
    capacity_ = capacity;
  }

  std::unique_ptr<uint8_t[]> bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t capacity_ = 0;
};

}  // namespace fletching::http
