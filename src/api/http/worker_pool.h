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
  void Post(std::function<void()> task);
  // Lets running tasks finish, drops waiting ones, joins the threads.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace fletching::http
