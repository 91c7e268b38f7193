#include "rivals/store.h"

namespace fletching::bench {

namespace {
constexpr int64_t kChunkRows = 64 * 1024;
}

RowFeed::RowFeed(const Workload& workload, bool big_endian_keys)
    : workload_(workload),
      big_endian_keys_(big_endian_keys),
      key_bytes_(workload.key_bytes()),
      start_nanos_(yardstick::NowNanos()) {}

bool RowFeed::NextChunk() {
  const int64_t start = yardstick::NowNanos();
  first_ += count_;
  count_ = std::min(kChunkRows, workload_.rows - first_);
  if (count_ <= 0) return false;
  const int64_t value_room = PackedBytesMax(workload_.shape) + kTextRoom;
  keys_.resize(static_cast<size_t>(count_ * key_bytes_));
  values_.resize(static_cast<size_t>(count_ * value_room));
  ends_.assign(1, 0);
  for (int64_t i = 0; i < count_; ++i) {
    const auto row = static_cast<uint64_t>(first_ + i);
    WriteRowKey(row, workload_.key_type, big_endian_keys_, keys_.data() + i * key_bytes_);
    ends_.push_back(ends_.back() + PackRow(workload_.shape, row, values_.data() + ends_.back()));
  }
  making_nanos_ += yardstick::NowNanos() - start;
  return true;
}

double RowFeed::SecondsOfStore() const {
  return static_cast<double>(yardstick::NowNanos() - start_nanos_ - making_nanos_) / 1e9;
}

}  // namespace fletching::bench
