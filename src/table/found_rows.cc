#include "table/found_rows.h"

#include <algorithm>
#include <cstring>

namespace fletching::table {
namespace {

LocateScratch& ThreadScratch() {
  thread_local LocateScratch scratch;
  return scratch;
}

}  // namespace

FoundRows::FoundRows(const Version& version, const segment::KeyBatch& keys,
                     std::span<const uint32_t> column_ids)
    : version_(version),
      keys_(keys),
      s_(ThreadScratch()),
      locator_(version, keys, column_ids, &s_) {}

Status FoundRows::Locate(int64_t now_us) {
  ARROW_RETURN_NOT_OK(locator_.Run());
  count_ = locator_.found_count();
  if (count_ > 0 && (!locator_.is_one_source() || version_.state->ttl_us > 0 ||
                     version_.sources[locator_.first_source()].MayHoldTombstones())) {
    DropDead(now_us);
  }
  return Status::OK();
}

// The locator says which source a key's row is from only if there are several.
void FoundRows::NameSources() {
  if (locator_.is_one_source()) {
    s_.sources.assign(s_.bodies.size(), static_cast<uint16_t>(locator_.first_source()));
  }
}

// A null body from here on means: not found.
void FoundRows::DropDead(int64_t now_us) {
  NameSources();
  std::vector<RowFilter> filters;
  filters.reserve(version_.sources.size());
  for (const Source& source : version_.sources) {
    filters.emplace_back(*version_.state, source, now_us);
  }
  count_ = 0;
  for (size_t i = 0; i < s_.bodies.size(); ++i) {
    if (s_.bodies[i] == nullptr) continue;
    if (filters[s_.sources[i]].IsLive(s_.bodies[i])) {
      ++count_;
    } else {
      s_.bodies[i] = nullptr;
    }
  }
}

std::vector<SourceRows> FoundRows::GroupBySource(bool hits_only) {
  NameSources();
  std::vector<SourceRows> groups(version_.sources.size());
  uint32_t position = 0;
  for (size_t i = 0; i < s_.bodies.size(); ++i) {
    if (s_.bodies[i] == nullptr) {
      position += hits_only ? 0 : 1;
      continue;
    }
    SourceRows& group = groups[s_.sources[i]];
    group.bodies.push_back(s_.bodies[i]);
    group.rows.push_back(s_.rows[i]);
    group.positions.push_back(position++);
  }
  for (size_t i = 0; i < groups.size(); ++i) groups[i].source = &version_.sources[i];
  std::erase_if(groups, [](const SourceRows& group) { return group.bodies.empty(); });
  return groups;
}

void FoundRows::WriteBits(uint8_t* bits) const {
  const auto bytes = static_cast<size_t>((keys_.count + 7) / 8);
  std::memset(bits, all_found() ? 0xff : 0, bytes);
  if (all_found()) return;
  for (int64_t i = 0; i < keys_.count; ++i) {
    if (IsFound(i)) SetBit(bits, i);
  }
}

}  // namespace fletching::table
