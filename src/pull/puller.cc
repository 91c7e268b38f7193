#include "pull/puller.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include "fletching/engine.h"

#include "pull/table_loader.h"

namespace fletching::pull {
namespace {

// While readers have something to read, they come first; but a table on a machine that is always
// busy must become new all the same, so this is no idle thread. What it starts inherits it.
void YieldToReaders() {
  constexpr int kNice = 10;  // about a tenth of a core where others want all of it
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
}

}  // namespace

class Puller::TableThread {
 public:
  TableThread(Engine* engine, PulledTable table, PullerOptions options)
      : loader_(engine, std::move(table), std::move(options), &is_stopping_),
        thread_([this] { Run(); }) {}

  ~TableThread() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  const TableLoader& loader() const { return loader_; }

 private:
  void Run() {
    while (true) {
      if (!loader_.status().generation.empty()) YieldToReaders();
      loader_.Look();
      std::unique_lock lock(mutex_);
      // By the steady clock: the wall's may go backwards.
      wake_.wait_for(lock, std::chrono::milliseconds(loader_.table().poll_interval_ms),
                     [this] { return is_stopping_.load(); });
      if (is_stopping_) return;
    }
  }

  std::atomic<bool> is_stopping_{false};
  TableLoader loader_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;  // last: it uses all of the above
};

Puller::~Puller() = default;

Result<std::unique_ptr<Puller>> Puller::Start(Engine* engine, std::vector<PulledTable> tables,
                                              PullerOptions options) {
  for (const PulledTable& table : tables) {
    ARROW_RETURN_NOT_OK(CheckName("table", table.name));
    const Status sound = CheckSchema(table.schema);
    if (!sound.ok()) return InvalidArgument("table '" + table.name + "': " + sound.message());
    if (table.poll_interval_ms < 1) {
      return InvalidArgument("table '" + table.name + "': poll_interval must be above 0");
    }
  }
  std::unique_ptr<Puller> puller(new Puller());
  for (PulledTable& table : tables) {
    puller->threads_.push_back(std::make_unique<TableThread>(engine, std::move(table), options));
  }
  return puller;
}

std::vector<PullStatus> Puller::Statuses() const {
  std::vector<PullStatus> statuses;
  for (const auto& thread : threads_) statuses.push_back(thread->loader().status());
  return statuses;
}

bool Puller::IsReady() const {
  for (const auto& thread : threads_) {
    if (thread->loader().status().generation.empty()) return false;
  }
  return true;
}

}  // namespace fletching::pull
