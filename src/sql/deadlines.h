// Interrupts queries that take too long.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "duck/duck_database.h"

namespace fletching::sql {

// Threads: any. One thread of its own, from the first query on.
class Deadlines {
 public:
  using Time = std::chrono::steady_clock::time_point;

  ~Deadlines();

  // One query's. Has it been interrupted? It stays so.
  class Watch {
   public:
    Watch(Deadlines* all, std::shared_ptr<duck::DuckConnection> connection, Time at);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    bool has_passed() const { return std::chrono::steady_clock::now() >= at_; }

   private:
    Deadlines* const all_;
    const Time at_;
    std::multimap<Time, std::shared_ptr<duck::DuckConnection>>::iterator place_;
  };

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Time, std::shared_ptr<duck::DuckConnection>> watched_;
  bool is_stopping_ = false;
  std::thread thread_;
};

}  // namespace fletching::sql
