#include "api/http/worker_pool.h"

#include <utility>

namespace fletching::http {

WorkerPool::WorkerPool(int thread_count) {
  for (int i = 0; i < thread_count; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() { Stop(); }

void WorkerPool::Post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  if (idle_.empty()) {
    tasks_.push_back(std::move(task));
    return;
  }
  Idle* const last = idle_.back();
  idle_.pop_back();
  last->task = std::move(task);
  last->wake.notify_one();  // with the lock: once it is free, the thread may be gone
}

void WorkerPool::Stop() {
  std::deque<std::function<void()>> dropped;  // destroyed without the lock
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(tasks_);
    for (Idle* idle : idle_) idle->wake.notify_one();
    idle_.clear();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::Run() {
  Idle self;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::function<void()> task;
    if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
    } else {
      idle_.push_back(&self);
      self.wake.wait(lock, [&] { return stopping_ || self.task != nullptr; });
      task = std::exchange(self.task, nullptr);
    }
    lock.unlock();
    if (task != nullptr) task();
    task = nullptr;  // what it holds goes before the lock is taken again
    lock.lock();
  }
}

}  // namespace fletching::http
