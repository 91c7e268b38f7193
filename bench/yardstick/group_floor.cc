// What grouped commit can reach at most: threads that each want one small append durable, one of
// them writes for all that wait. No engine: a queue, write, fdatasync, and a wake-up for each.
//
// The ratio of many threads to one is bounded by the cores as much as by the disk: each append
// costs two switches of threads.
//
// Build alone: g++ -std=c++20 -O2 -o group_floor group_floor.cc
#include <atomic>
#include <fcntl.h>
#include <linux/futex.h>
#include <mutex>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "measure.h"

namespace {

using namespace yardstick;

struct Wish {
  std::atomic<uint32_t> turn{0};  // 0 waits, 1 leads, 2 done
};

void Wait(Wish& wish) {
  while (wish.turn.load(std::memory_order_acquire) == 0) {
    syscall(SYS_futex, &wish.turn, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
}

void Wake(Wish& wish, uint32_t turn) {
  std::atomic<uint32_t>* const word = &wish.turn;
  word->store(turn, std::memory_order_release);
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

class Log {
 public:
  Log(const std::string& path, int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    file_ = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (file_ < 0) Fail("cannot open " + path);
  }
  ~Log() { ::close(file_); }

  void Append() {
    Wish wish;
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(&wish);
      if (!has_leader_) {
        has_leader_ = true;
        wish.turn = 1;
      }
    }
    Wait(wish);
    if (wish.turn == 1) Lead(&wish);
  }

 private:
  void Lead(Wish* leader) {
    std::vector<Wish*> group;
    {
      const std::lock_guard lock(mutex_);
      group.swap(queue_);
    }
    const std::string rows(group.size() * bytes_, 'r');
    if (::write(file_, rows.data(), rows.size()) != static_cast<ssize_t>(rows.size())) {
      Fail("short write");
    }
    if (::fdatasync(file_) != 0) Fail("fdatasync failed");
    Wish* next = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) {
        has_leader_ = false;
      } else {
        next = queue_.front();
      }
    }
    if (next != nullptr) Wake(*next, 1);
    for (Wish* wish : group) {
      if (wish != leader) Wake(*wish, 2);
    }
  }

  const size_t bytes_;
  int file_ = -1;
  std::mutex mutex_;
  std::vector<Wish*> queue_;
  bool has_leader_ = false;
};

double AppendsPerSecond(Log* log, int64_t threads, double seconds) {
  std::atomic<int64_t> count{0};
  std::atomic<bool> is_over{false};
  std::vector<std::thread> running;
  const int64_t start = NowNanos();
  for (int64_t i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      do {
        log->Append();
        ++count;
      } while (!is_over);
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  is_over = true;
  for (std::thread& thread : running) thread.join();
  return static_cast<double>(count) * 1e9 / static_cast<double>(NowNanos() - start);
}

int Main(int argc, char** argv) {
  Flags flags(argc, argv, {"smoke"});
  const bool smoke = flags.Switch("smoke", "an instant: shows that it works, measures nothing");
  const std::string dir = flags.Text("dir", ".", "folder on the disk to measure");
  const int64_t bytes = flags.Integer("bytes", 120, 1, "bytes of one append");
  const int64_t threads = flags.Integer("threads", 64, 1, "threads beside one");
  const int64_t seconds = flags.Integer("seconds", smoke ? 0 : 4, 0, "of each run");
  flags.Done();
  const std::string path = dir + "/group_floor.tmp";
  Log log(path, bytes);
  const double one = AppendsPerSecond(&log, 1, static_cast<double>(seconds) / 2);
  const double many = AppendsPerSecond(&log, threads, static_cast<double>(seconds));
  ::unlink(path.c_str());
  JsonLine()
      .Add("bench", "group_floor")
      .Add("threads", threads)
      .Add("one_per_second", one)
      .Add("many_per_second", many)
      .Add("ratio", many / one)
      .Print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return Main(argc, argv); }
