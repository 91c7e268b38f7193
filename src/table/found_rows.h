// Rows that answer the keys of a request, live ones only: what every read begins with, whatever it
// gathers them into. Stages: locate, and the way to gather.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "segment/keys.h"
#include "table/locator.h"
#include "table/version.h"

namespace fletching::table {

// Rows of the answer that come from one source.
struct SourceRows {
  const Source* source = nullptr;
  std::vector<const uint8_t*> bodies;
  std::vector<uint32_t> rows;
  std::vector<uint32_t> positions;

  segment::RowSelection Selection() const {
    return {bodies.data(), rows.data(), positions.data(), static_cast<int64_t>(bodies.size())};
  }
};

// Lifetime: version, keys and columns outlive it. Threads: one, which has one of these at a time:
// the working memory is the thread's.
class FoundRows {
 public:
  // column_ids: those that will be gathered.
  FoundRows(const Version& version, const segment::KeyBatch& keys,
            std::span<const uint32_t> column_ids);
  ~FoundRows() { s_.Shrink(); }
  FoundRows(const FoundRows&) = delete;
  FoundRows& operator=(const FoundRows&) = delete;

  // Finds the winning row of each key and drops those that are deleted or expired.
  Status Locate(int64_t now_us);
  // To be asked once all values are copied, and whatever errors there were: what cannot be read
  // looks like an absent key, like zeros or like damage.
  Status CheckIntact() const { return table::CheckIntact(locator_.searched()); }

  int64_t count() const { return count_; }  // of keys that have a row
  bool all_found() const { return count_ == keys_.count; }
  bool IsFound(int64_t key) const { return s_.bodies[static_cast<size_t>(key)] != nullptr; }
  // Bit i = key i has a row; ceil(keys / 8) bytes.
  void WriteBits(uint8_t* bits) const;

  // gather(source, rows) for each source that has some; returns its first error. Positions are
  // those of the keys, or with hits_only those among the keys found.
  template <typename Gather>
  Status ForEachSource(bool hits_only, const Gather& gather) {
    if (count_ == 0) return Status::OK();
    if (all_found() && locator_.is_one_source()) {  // the common case needs no grouping
      return gather(version_.sources[locator_.first_source()],
                    segment::RowSelection{s_.bodies.data(), s_.rows.data(), nullptr, keys_.count});
    }
    for (const SourceRows& group : GroupBySource(hits_only)) {
      ARROW_RETURN_NOT_OK(gather(*group.source, group.Selection()));
    }
    return Status::OK();
  }

 private:
  void NameSources();
  void DropDead(int64_t now_us);
  std::vector<SourceRows> GroupBySource(bool hits_only);

  const Version& version_;
  const segment::KeyBatch& keys_;
  LocateScratch& s_;
  Locator locator_;
  int64_t count_ = 0;
};

}  // namespace fletching::table
