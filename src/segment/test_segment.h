// A segment in memory that is read whole, as a partial file and as a cold one: all must give the
// same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/type_fwd.h"

#include "io/sim_file_system.h"
#include "segment/segment_reader.h"
#include "segment/segment_writer.h"

namespace fletching::segment {

inline constexpr uint64_t kSeed = 99;  // of hashes

std::shared_ptr<arrow::Array> Texts(const std::vector<std::string>& values);
// nulls where the value is negative
std::shared_ptr<arrow::Array> Numbers(const std::vector<int64_t>& values);

// A partial copy of a file. What is not here yet reads as 0xab, lest anybody look.
class PartialCopy final : public io::MappedFile {
 public:
  explicit PartialCopy(std::shared_ptr<io::MappedFile> whole);
  ByteSpan bytes() const override { return bytes_; }
  const std::string& path() const override { return whole_->path(); }
  bool is_partial() const override { return true; }
  bool IsHere(const io::FileRange& range) const override;
  Status Fetch(std::span<const io::FileRange> ranges, const Accept& accept) const override;
  void MarkUsed(bool was_here) const override { hit_count += was_here ? 1 : 0; }

  // As a power loss may: the byte still counts as here.
  void Damage(uint64_t offset_bytes) { bytes_[offset_bytes] ^= 1; }

  Status trouble;                   // of every fetch from now on
  uint64_t damage_at = UINT64_MAX;  // a byte that arrives damaged
  mutable int fetch_count = 0;
  mutable int range_count = 0;
  mutable int hit_count = 0;
  mutable uint64_t fetched_bytes = 0;

 private:
  const std::shared_ptr<io::MappedFile> whole_;
  mutable std::vector<uint8_t> bytes_;
  mutable std::vector<bool> is_here_;  // by piece
};

struct Plan {
  int32_t key_width = -1;
  std::vector<ColumnPlan> columns;
  uint32_t unit_bytes = 8;
  int32_t event_time_index = -1;
};

// The column of `reader` for each of these keys, null where the key is absent too.
Result<std::shared_ptr<arrow::Array>> ReadColumn(const SegmentReader& reader, const KeyArrays& keys,
                                                 uint32_t column_id,
                                                 const std::shared_ptr<arrow::DataType>& type,
                                                 int64_t* found_count);

class Segment {
 public:
  Segment(const Plan& plan, const std::vector<KeyArrays>& keys,
          const std::vector<std::vector<std::shared_ptr<arrow::Array>>>& columns);

  // As ReadColumn, and the same of a partial file, a cold one and one that is both.
  std::shared_ptr<arrow::Array> Read(const KeyArrays& keys, uint32_t column_id,
                                     const std::shared_ptr<arrow::DataType>& type);
  std::shared_ptr<PartialCopy> MakePartial();  // nothing of it is here yet

  int64_t found_count = 0;
  const SegmentReader& reader() const { return *reader_; }
  const SegmentSummary& summary() const { return summary_; }

 private:
  io::SimFileSystem disk_;
  SegmentSummary summary_;
  std::shared_ptr<SegmentReader> reader_;
  std::vector<std::shared_ptr<SegmentReader>> others_;  // partial, cold, and both
};

}  // namespace fletching::segment
