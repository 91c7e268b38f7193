// A segment from its first byte to its last. Declared in format/inspect.h.
#include <algorithm>

#include "base/checksum.h"
#include "format/inspect.h"
#include "format/segment_layout.h"

namespace fletching::format {
namespace {

std::string Count(uint64_t count, const char* what) { return std::to_string(count) + " " + what; }

class SegmentInspector {
 public:
  SegmentInspector(bool checks_blocks, Inspection* out)
      : checks_blocks_(checks_blocks), out_(*out), bytes_(out->bytes()) {}

  void Run() {
    out_.AddStruct(1, "header", 0, "SegmentHeader", kSegmentMagic);
    if (bytes_.size() < sizeof(SegmentHeader)) return;
    if (LoadAs<SegmentHeader>(bytes_.data()).version > kSegmentVersion) {
      return out_.Problem(offsetof(SegmentHeader, version), "written by a newer Fletching");
    }
    if (bytes_.size() < kBlockBytes + sizeof(SegmentFooter)) {
      return out_.Problem(bytes_.size(), "the file is cut short: no room for a footer");
    }
    const uint64_t footer_at = bytes_.size() - sizeof(SegmentFooter);
    footer_ = LoadAs<SegmentFooter>(&bytes_[footer_at]);
    if (footer_.magic != kSegmentMagic) {
      out_.Add(1, "the rest", kBlockBytes, bytes_.size() - kBlockBytes, "", "");
      return out_.Problem(footer_at + offsetof(SegmentFooter, magic),
                          "no footer: the file is cut short");
    }
    out_.SetSummary(Count(footer_.row_count - footer_.dead_count, "rows, ") +
                    Count(footer_.column_count, "columns"));
    out_.Add(1, "rows", footer_.row_offset, footer_.row_bytes, "",
             Count(footer_.row_count, "rows in units of ") +
                 Count(footer_.row_unit_bytes, "bytes, ") +
                 Count(footer_.tombstone_count, "tombstones"));
    out_.Holds(footer_.row_offset, footer_.row_bytes);
    ShowIndex();
    ShowDead();
    ShowColumns();
    ShowBlocks();
    out_.AddStruct(1, "footer", footer_at, "SegmentFooter", kSegmentMagic);
  }

 private:
  // A line for `count` items of `item_bytes`; whether they are in the file.
  bool AddItems(const char* name, uint64_t offset, uint64_t count, uint64_t item_bytes,
                const std::string& value) {
    const bool is_sane = count <= bytes_.size() / item_bytes;
    out_.Add(1, name, offset, is_sane ? count * item_bytes : 0, "", value);
    return out_.Holds(offset, is_sane ? count * item_bytes : UINT64_MAX);
  }

  void ShowIndex() {
    if (!AddItems("key index", footer_.index_offset, footer_.bucket_count, sizeof(IndexBucket),
                  Count(footer_.home_bucket_count, "home buckets of ") +
                      std::to_string(footer_.bucket_count))) {
      return;
    }
    uint64_t i = 0;
    for (; i < footer_.bucket_count && out_.Shows(i); ++i) {
      out_.AddStruct(2, "bucket " + std::to_string(i),
                     footer_.index_offset + i * sizeof(IndexBucket), "IndexBucket");
    }
    out_.AddRest(2, footer_.bucket_count - i);
  }

  void ShowDead() {
    if (!AddItems("dead rows", footer_.dead_offset, footer_.dead_count, 4,
                  Count(footer_.dead_count, "addresses"))) {
      return;
    }
    uint64_t i = 0;
    for (; i < footer_.dead_count && out_.Shows(i); ++i) {
      const uint64_t at = footer_.dead_offset + i * 4;
      out_.Add(2, "address", at, 4, "u32", std::to_string(LoadAs<uint32_t>(&bytes_[at])));
    }
    out_.AddRest(2, footer_.dead_count - i);
  }

  void ShowColumns() {
    const uint64_t table_at = footer_.columns_offset;
    out_.Add(1, "column table", table_at, footer_.columns_bytes, "",
             Count(footer_.column_count, "entries"));
    if (!out_.Holds(table_at, footer_.columns_bytes)) return;
    const ByteSpan table = bytes_.subspan(table_at, footer_.columns_bytes);
    if (Checksum(table) != footer_.columns_checksum) {
      out_.Problem(table_at, "columns_checksum differs");
    }
    uint64_t text_at = uint64_t{footer_.column_count} * sizeof(ColumnEntry);
    uint64_t i = 0;
    for (; i < footer_.column_count && out_.Shows(i); ++i) {
      const uint64_t at = i * sizeof(ColumnEntry);
      if (text_at > table.size()) return out_.Problem(table_at, "entries reach past the table");
      const auto entry = LoadAs<ColumnEntry>(&table[at]);
      const uint64_t text_bytes = uint64_t{entry.name_bytes} + entry.type_bytes;
      out_.AddStruct(2, "column " + std::to_string(i), table_at + at, "ColumnEntry");
      if (text_bytes > table.size() - text_at) {
        return out_.Problem(table_at + text_at, "the name of this column reaches past the table");
      }
      const auto* text = reinterpret_cast<const char*>(table.data() + text_at);
      out_.Add(3, "name", table_at + text_at, entry.name_bytes, "text",
               Quoted({text, entry.name_bytes}));
      out_.Add(3, "type", table_at + text_at + entry.name_bytes, entry.type_bytes, "text",
               Quoted({text + entry.name_bytes, entry.type_bytes}));
      if (entry.encoding != static_cast<uint8_t>(Encoding::kPacked)) {
        out_.Add(3, "data", entry.data_offset, entry.data_bytes, "", "");
        out_.Holds(entry.data_offset, entry.data_bytes);
      }
      text_at += text_bytes;
    }
    out_.AddRest(2, footer_.column_count - i);
  }

  void ShowBlocks() {
    if (!AddItems("block table", footer_.blocks_offset, footer_.block_count, 8,
                  Count(footer_.block_count, "checksums"))) {
      return;
    }
    if (Checksum(bytes_.subspan(footer_.blocks_offset, footer_.block_count * 8)) !=
        footer_.blocks_checksum) {
      out_.Problem(footer_.blocks_offset, "blocks_checksum differs");
    }
    uint64_t bad_count = 0;
    uint64_t hidden_count = 0;
    for (uint64_t i = 0; i < footer_.block_count; ++i) {
      if (!checks_blocks_ && !out_.Shows(i)) break;
      const uint64_t at = footer_.blocks_offset + i * 8;
      const auto written = LoadAs<uint64_t>(&bytes_[at]);
      const uint64_t begin = i * kBlockBytes;
      if (begin >= footer_.blocks_offset) {
        return out_.Problem(at, "more checksums than blocks");
      }
      const uint64_t end = std::min(begin + kBlockBytes, footer_.blocks_offset);
      const bool is_good =
          !checks_blocks_ || Checksum(bytes_.subspan(begin, end - begin)) == written;
      if (!out_.Shows(is_good ? i : bad_count)) {
        hidden_count += is_good ? 0 : 1;
        continue;
      }
      out_.Add(2, "block " + std::to_string(i), at, 8, "u64",
               Hex(written) + (checks_blocks_ && is_good ? " ok" : ""));
      if (!is_good) out_.Problem(begin, "block checksum differs");
      bad_count += is_good ? 0 : 1;
    }
    if (hidden_count > 0) out_.Add(2, "...", 0, 0, "", Count(hidden_count, "more are damaged"));
  }

  const bool checks_blocks_;
  Inspection& out_;
  const ByteSpan bytes_;
  SegmentFooter footer_{};
};

}  // namespace

void InspectSegment(bool checks_blocks, Inspection* out) {
  SegmentInspector(checks_blocks, out).Run();
}

}  // namespace fletching::format
