#include "ingest/parquet_fetch.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <thread>
#include <unistd.h>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "parquet/metadata.h"
#include "parquet/schema.h"

#include "ingest/parquet_footer_guard.h"
#include "ingest/spooled_body.h"

namespace fletching::ingest {
namespace {

constexpr int64_t kTailBytes = 8;  // length of the footer, then the magic
constexpr int64_t kHeadBytes = 4;
// One read: long enough that its way there and back does not count.
constexpr int64_t kPieceBytes = int64_t{8} << 20;
// What lies between two wanted parts is fetched along when it is this short.
constexpr int64_t kGapBytes = int64_t{256} << 10;
constexpr size_t kThreads = 8;

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

Status SystemError(const std::string& path, const char* what) {
  const std::string text = path + ": " + what + ": " + std::strerror(errno);
  return MakeError(errno == ENOSPC ? ErrorCode::kStorageFull : ErrorCode::kUnavailable, text);
}

// The file here. Threads: any, at different offsets.
class SparseFile {
 public:
  ~SparseFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Status Make(const std::string& path, int64_t size_bytes) {
    path_ = path;
    descriptor_ = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor_ < 0) return SystemError(path, "cannot be made");
    if (::ftruncate(descriptor_, size_bytes) != 0) return SystemError(path, "cannot be made");
    return Status::OK();
  }
  Status Put(int64_t at, const arrow::Buffer& bytes) const {
    for (int64_t done = 0; done < bytes.size();) {
      const ssize_t wrote = ::pwrite(descriptor_, bytes.data() + done,
                                     static_cast<size_t>(bytes.size() - done), at + done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return SystemError(path_, "cannot be written");
      done += wrote;
    }
    return Status::OK();
  }

 private:
  int descriptor_ = -1;
  std::string path_;
};

// parquet-cpp reports by exception; none may leave this file.
Result<std::vector<Range>> ColumnRanges(const arrow::Buffer& footer, int64_t file_bytes,
                                        const std::optional<std::vector<std::string>>& columns) {
  std::vector<Range> ranges;
  try {
    const auto metadata = parquet::FileMetaData::Make(footer.data(), footer.size());
    std::optional<std::set<std::string>> wanted;
    if (columns.has_value()) wanted.emplace(columns->begin(), columns->end());
    for (int group = 0; group < metadata->num_row_groups(); ++group) {
      const auto row_group = metadata->RowGroup(group);
      for (int leaf = 0; leaf < metadata->num_columns(); ++leaf) {
        const auto* node = metadata->schema()->GetColumnRoot(leaf);
        if (wanted.has_value() && !wanted->contains(node->name())) continue;
        const auto chunk = row_group->ColumnChunk(leaf);
        int64_t begin = chunk->data_page_offset();
        if (chunk->has_dictionary_page()) begin = std::min(begin, chunk->dictionary_page_offset());
        const int64_t size = chunk->total_compressed_size();
        if (begin < 0 || size < 0 || begin > file_bytes || size > file_bytes - begin) {
          return InvalidArgument("Parquet: a column chunk reaches past the end of the file");
        }
        ranges.push_back({begin, begin + size});
      }
    }
  } catch (const std::exception& error) {
    return InvalidArgument(std::string("Parquet: ") + error.what());
  }
  return ranges;
}

// In order, close ones joined, long ones cut.
std::vector<Range> Pieces(std::vector<Range> ranges) {
  std::ranges::sort(ranges, {}, &Range::begin);
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    if (!joined.empty() && range.begin <= joined.back().end + kGapBytes) {
      joined.back().end = std::max(joined.back().end, range.end);
    } else {
      joined.push_back(range);
    }
  }
  std::vector<Range> pieces;
  for (const Range& range : joined) {
    for (int64_t at = range.begin; at < range.end; at += kPieceBytes) {
      pieces.push_back({at, std::min(at + kPieceBytes, range.end)});
    }
  }
  return pieces;
}

Status Fetch(arrow::io::RandomAccessFile& source, const std::vector<Range>& pieces,
             const SparseFile& file) {
  std::atomic<size_t> next{0};
  std::mutex mutex;
  Status first_failure;
  const auto work = [&] {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Range& piece = pieces[i];
      const int64_t bytes = piece.end - piece.begin;
      Status status;
      auto read = source.ReadAt(piece.begin, bytes);
      if (!read.ok()) {
        status = read.status();
      } else if ((*read)->size() != bytes) {
        status = Unavailable("the file is shorter than it was announced");
      } else {
        status = file.Put(piece.begin, **read);
      }
      if (status.ok()) continue;
      next = pieces.size();
      const std::lock_guard lock(mutex);
      if (first_failure.ok()) first_failure = status;
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kThreads, pieces.size()); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return first_failure;
}

}  // namespace

Result<std::shared_ptr<arrow::io::RandomAccessFile>> FetchParquet(
    const std::shared_ptr<arrow::io::RandomAccessFile>& source, const DecodeLimits& limits,
    const std::optional<std::vector<std::string>>& columns, const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const int64_t size, source->GetSize());
  std::vector<Range> ranges = {{0, size}};  // what is no Parquet file is small, or cut short
  if (size >= kHeadBytes + kTailBytes) {
    ARROW_ASSIGN_OR_RAISE(const auto tail, source->ReadAt(size - kTailBytes, kTailBytes));
    if (tail->size() != kTailBytes) return Unavailable("the file is shorter than announced");
    const int64_t footer_bytes = LoadAs<uint32_t>(tail->data());
    const bool has_footer = std::memcmp(tail->data() + 4, "PAR1", 4) == 0 &&
                            footer_bytes <= size - kTailBytes - kHeadBytes;
    if (!has_footer) {
      return InvalidArgument(
          "Parquet: the file does not end as one; it is cut short or no Parquet");
    }
    if (footer_bytes > limits.piece_bytes_max / 2) {
      return TooLarge("Parquet: the footer is too long; write fewer row groups");
    }
    const int64_t footer_at = size - kTailBytes - footer_bytes;
    ARROW_ASSIGN_OR_RAISE(const auto footer, source->ReadAt(footer_at, footer_bytes));
    ARROW_RETURN_NOT_OK(CheckParquetFooter({footer->data(), static_cast<size_t>(footer->size())},
                                           limits.piece_bytes_max / 2));
    ARROW_ASSIGN_OR_RAISE(ranges, ColumnRanges(*footer, size, columns));
    ranges.push_back({0, kHeadBytes});
    ranges.push_back({footer_at, size});
  }
  SparseFile file;
  ARROW_RETURN_NOT_OK(file.Make(path, size));
  const Status fetched = Fetch(*source, Pieces(std::move(ranges)), file);
  auto opened = fetched.ok() ? OpenSpooledBody(path)
                             : Result<std::shared_ptr<arrow::io::RandomAccessFile>>(fetched);
  ::unlink(path.c_str());
  return opened;
}

}  // namespace fletching::ingest
