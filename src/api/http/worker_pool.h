// Threads for work that may wait: writes, decoding, disk.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace fletching::http {

class WorkerPool {
 public:
  explicit WorkerPool(int thread_count);
  ~WorkerPool();

  // Tasks start in order. After Stop they are dropped without being run.
  // The thread that became idle last is woken: what it left in its cache and in its heap is used
  // again, and of 64 threads as many have such memory as there are tasks at a time.
  void Post(std::function<void()> task);
  // Lets running tasks finish, drops waiting ones, joins the threads.
  void Stop();

 private:
  struct Idle {
    std::condition_variable wake;
    std::function<void()> task;
  };
  void Run();

  std::mutex mutex_;
  std::vector<Idle*> idle_;  // while there are any, no task waits
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fletching::http
