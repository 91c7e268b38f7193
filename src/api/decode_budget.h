// Bounds the memory of all bodies that are being decoded at a time. A small compressed body may
// unfold to gigabytes; many of them together must not take the process down.
//
// Threads: any. A thread holds one share at most, so nobody waits for somebody who waits.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace fletching::api {

class DecodeBudget {
 public:
  explicit DecodeBudget(int64_t total_bytes) : total_bytes_(total_bytes) {}

  // What one body may take, given back when this goes. Waits until `bytes` are free; more than
  // there are at all is cut to that.
  class Share {
   public:
    Share(DecodeBudget* budget, int64_t bytes) : budget_(budget), bytes_(budget->Take(bytes)) {}
    ~Share() { budget_->GiveBack(bytes_); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    int64_t bytes() const { return bytes_; }

   private:
    DecodeBudget* budget_;
    int64_t bytes_;
  };

 private:
  int64_t Take(int64_t bytes) {
    bytes = std::min(bytes, total_bytes_);
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return taken_bytes_ + bytes <= total_bytes_; });
    taken_bytes_ += bytes;
    return bytes;
  }
  void GiveBack(int64_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      taken_bytes_ -= bytes;
    }
    freed_.notify_all();
  }

  const int64_t total_bytes_;
  std::mutex mutex_;
  std::condition_variable freed_;
  int64_t taken_bytes_ = 0;
};

}  // namespace fletching::api
