#include "io/piece_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <unistd.h>
#include <utility>

#include <liburing.h>

#include "io/posix_error.h"

namespace fletching::io {
namespace {

// Reads under way at once: fio's rate grows up to here on the disks we have seen.
constexpr uint32_t kDepth = 256;
// Of each read under way: a row that lies across two blocks. Longer ranges get a buffer of their
// own.
constexpr uint64_t kSlotBytes = PieceReader::kRingBytes / kDepth;

using Buffer = std::unique_ptr<uint8_t, decltype(&std::free)>;

Buffer AllocatePieces(uint64_t bytes) {
  return {static_cast<uint8_t*>(std::aligned_alloc(MappedFile::kPieceBytes, bytes)), &std::free};
}

}  // namespace

// One submission queue and the buffers its reads go into. Threads: one at a time.
class PieceReader::Ring {
 public:
  // nullptr where io_uring is refused.
  static std::unique_ptr<Ring> Make() {
    std::unique_ptr<Ring> made(new Ring);
    if (made->buffers_ == nullptr || ::io_uring_queue_init(kDepth, &made->ring_, 0) != 0) {
      return nullptr;
    }
    made->is_open_ = true;
    return made;
  }
  ~Ring() {
    if (is_open_) ::io_uring_queue_exit(&ring_);
  }

  Status Read(const MappedFile& file, std::span<const FileRange> ranges, const Done& done);
  bool is_idle() const { return free_slots_.size() == kDepth; }

 private:
  struct Slot {
    size_t range = 0;
    Buffer own{nullptr, &std::free};  // of a long range
  };

  Ring() : buffers_(AllocatePieces(kDepth * kSlotBytes)) {
    for (uint32_t slot = 0; slot < kDepth; ++slot) free_slots_.push_back(slot);
  }
  uint8_t* Target(uint32_t slot) {
    return slots_[slot].own != nullptr ? slots_[slot].own.get()
                                       : buffers_.get() + slot * kSlotBytes;
  }
  bool Start(const MappedFile& file, std::span<const FileRange> ranges, size_t range);
  Status Finish(const MappedFile& file, std::span<const FileRange> ranges, uint32_t slot,
                int32_t answer, const Done& done);
  static Status ReadRest(const MappedFile& file, const FileRange& range, uint64_t had_bytes,
                         uint8_t* target);

  io_uring ring_{};
  bool is_open_ = false;
  Buffer buffers_;
  std::vector<uint32_t> free_slots_;
  Slot slots_[kDepth];
};

// False when there is no memory for it now.
bool PieceReader::Ring::Start(const MappedFile& file, std::span<const FileRange> ranges,
                              size_t range) {
  const FileRange& wanted = ranges[range];
  // O_DIRECT wants whole pieces; behind the end of the file it reads less.
  const uint64_t bytes = RoundUp(wanted.size_bytes, MappedFile::kPieceBytes);
  const uint32_t slot = free_slots_.back();
  Slot& read = slots_[slot];
  read.range = range;
  read.own = bytes > kSlotBytes ? AllocatePieces(bytes) : Buffer(nullptr, &std::free);
  if (bytes > kSlotBytes && read.own == nullptr) return false;
  io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
  if (entry == nullptr) return false;
  free_slots_.pop_back();
  ::io_uring_prep_read(entry, file.direct_descriptor(), Target(slot), static_cast<unsigned>(bytes),
                       wanted.offset_bytes);
  ::io_uring_sqe_set_data64(entry, slot);
  return true;
}

// What one read left out: it was interrupted, or the file is shorter than it was.
Status PieceReader::Ring::ReadRest(const MappedFile& file, const FileRange& range,
                                   uint64_t had_bytes, uint8_t* target) {
  uint64_t had = had_bytes / MappedFile::kPieceBytes * MappedFile::kPieceBytes;
  while (had < range.size_bytes) {
    const uint64_t left = RoundUp(range.size_bytes - had, MappedFile::kPieceBytes);
    const ssize_t got = ::pread(file.direct_descriptor(), target + had, left,
                                static_cast<off_t>(range.offset_bytes + had));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return ErrnoError("read", file.path(), errno);
    had += static_cast<uint64_t>(got);
    if (had >= range.size_bytes) break;
    if (got == 0 || had % MappedFile::kPieceBytes != 0) {  // its end
      file.MarkFailed();
      return file.CheckRead();
    }
  }
  return Status::OK();
}

Status PieceReader::Ring::Finish(const MappedFile& file, std::span<const FileRange> ranges,
                                 uint32_t slot, int32_t answer, const Done& done) {
  const size_t range = slots_[slot].range;
  const uint64_t wanted_bytes = ranges[range].size_bytes;
  uint8_t* const target = Target(slot);
  if (answer < 0 && answer != -EINTR && answer != -EAGAIN) {
    return ErrnoError("read", file.path(), -answer);
  }
  const auto got_bytes = static_cast<uint64_t>(std::max(answer, 0));
  if (got_bytes < wanted_bytes) {
    ARROW_RETURN_NOT_OK(ReadRest(file, ranges[range], got_bytes, target));
  }
  return done(range, {target, wanted_bytes});
}

Status PieceReader::Ring::Read(const MappedFile& file, std::span<const FileRange> ranges,
                               const Done& done) {
  Status status = Status::OK();
  size_t next = 0;
  size_t under_way = 0;
  while (under_way > 0 || (next < ranges.size() && status.ok())) {
    while (status.ok() && next < ranges.size() && !free_slots_.empty()) {
      if (!Start(file, ranges, next)) {
        if (under_way == 0) status = Unavailable("no memory to read " + file.path());
        break;
      }
      ++next;
      ++under_way;
    }
    // The queue is filled again when half of it is empty, not for each read that ends.
    const bool is_last = next == ranges.size() || !status.ok();
    const size_t wait = is_last ? 1 : std::max<size_t>(under_way / 2, 1);
    if (under_way == 0) break;
    const int submitted = ::io_uring_submit_and_wait(&ring_, static_cast<unsigned>(wait));
    if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
      return ErrnoError("submit reads of", file.path(), -submitted);
    }
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* ended = nullptr;
    io_uring_for_each_cqe(&ring_, head, ended) {
      ++count;
      const auto slot = static_cast<uint32_t>(::io_uring_cqe_get_data64(ended));
      if (status.ok()) status = Finish(file, ranges, slot, ended->res, done);
      slots_[slot].own.reset();
      free_slots_.push_back(slot);
    }
    ::io_uring_cq_advance(&ring_, count);
    under_way -= count;
  }
  return status;
}

PieceReader::PieceReader(int ring_count_max, bool allow_uring)
    : ring_count_max_(ring_count_max), has_uring_(false) {
  if (!allow_uring) return;
  auto ring = Ring::Make();
  has_uring_ = ring != nullptr;
  if (has_uring_) idle_.push_back(std::move(ring));
}

PieceReader::~PieceReader() = default;

std::unique_ptr<PieceReader::Ring> PieceReader::TakeRing() {
  {
    std::unique_lock lock(mutex_);
    given_back_.wait(lock, [this] { return taken_count_ < ring_count_max_; });
    ++taken_count_;
    if (!idle_.empty()) {
      auto ring = std::move(idle_.back());
      idle_.pop_back();
      return ring;
    }
  }
  return Ring::Make();
}

void PieceReader::GiveBack(std::unique_ptr<Ring> ring) {
  {
    const std::lock_guard lock(mutex_);
    --taken_count_;
    if (ring != nullptr && ring->is_idle()) idle_.push_back(std::move(ring));
  }
  given_back_.notify_one();
  // The kernel may still be writing into its buffers, and says so no more.
  (void)ring.release();
}

Status PieceReader::ReadMapped(const MappedFile& file, std::span<const FileRange> ranges,
                               const Done& done) {
  file.WillNeed(ranges);
  for (size_t i = 0; i < ranges.size(); ++i) {
    ARROW_RETURN_NOT_OK(
        done(i, file.bytes().subspan(ranges[i].offset_bytes, ranges[i].size_bytes)));
  }
  for (const FileRange& range : ranges) file.LetGo(range);
  return file.CheckRead();
}

Status PieceReader::Read(const MappedFile& file, std::span<const FileRange> ranges,
                         const Done& done) {
  if (ranges.empty()) return Status::OK();
  if (!has_uring_ || file.direct_descriptor() < 0) return ReadMapped(file, ranges, done);
  auto ring = TakeRing();
  const Status status =
      ring != nullptr ? ring->Read(file, ranges, done) : ReadMapped(file, ranges, done);
  GiveBack(std::move(ring));
  return status;
}

}  // namespace fletching::io
