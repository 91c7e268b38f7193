// Writes chunks of a PartialFile beside the thread that receives them: copying into the page cache
// takes as long as receiving does.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "fletching/status.h"

#include "store/partial_file.h"

namespace fletching::store {

// Threads: Add and Finish by one. Lifetime: the file outlives it.
class ChunkWriter {
 public:
  explicit ChunkWriter(PartialFile* file);
  ~ChunkWriter();  // what waits is written

  // Waits while much is waiting. Errors: of any chunk before; then nothing more is written.
  Status Add(uint64_t index, std::vector<uint8_t> bytes);
  Status Finish();

 private:
  void Run();

  PartialFile* const file_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<uint64_t, std::vector<uint8_t>>> waiting_;
  int writing_ = 0;
  bool is_over_ = false;
  Status status_;
  std::vector<std::thread> threads_;
};

}  // namespace fletching::store
