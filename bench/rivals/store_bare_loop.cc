// The bare loop for every shape and key type: the index of yardstick/bare_loop.h before rows of any
// width. As there: hash, probe and gather over blocks of keys, so that the memory of a block is on
// its way while its neighbours are worked on.
#include "rivals/gather.h"
#include "rivals/store.h"
#include "yardstick/bare_loop.h"

namespace fletching::bench {
namespace {

using yardstick::BareTable;
using yardstick::kLineBytes;
using yardstick::kNoRow;
using yardstick::NowNanos;

constexpr double kIndexLoad = 0.6;

// Rows of equal size are BareTable's. Rows with text begin at any cache line, and the row number in
// the index counts lines.
class BareRows {
 public:
  explicit BareRows(const Workload& workload)
      : workload_(workload), table_(MakeTable(workload, LineCount(workload))) {
    RowFeed feed(workload, false);
    uint32_t row = 0;
    while (feed.NextChunk()) {
      for (int64_t i = 0; i < feed.count(); ++i) {
        const std::string_view value = feed.Value(i);
        table_.Insert(row, feed.Key(i).data(), feed.Key(i).size());
        std::memcpy(table_.Row(row) + table_.values_offset, value.data(), value.size());
        row += HasText(workload) ? LinesOf(workload, value.size()) : 1;
      }
    }
  }

  const BareTable& table() const { return table_; }
  const Workload& workload() const { return workload_; }

 private:
  static bool HasText(const Workload& workload) { return workload.shape.text_count > 0; }
  static uint32_t LinesOf(const Workload& workload, size_t value_bytes) {
    const int64_t key_room = BareTable::kKeyOffset + (workload.key_bytes() + 3) / 4 * 4;
    return static_cast<uint32_t>((key_room + static_cast<int64_t>(value_bytes) + kLineBytes - 1) /
                                 kLineBytes);
  }

  static int64_t LineCount(const Workload& workload) {
    if (!HasText(workload)) return workload.rows;
    std::vector<char> packed(static_cast<size_t>(PackedBytesMax(workload.shape) + kTextRoom));
    int64_t lines = 2;  // a text may be read past its end
    for (int64_t row = 0; row < workload.rows; ++row) {
      lines += LinesOf(workload, static_cast<size_t>(PackRow(
                                     workload.shape, static_cast<uint64_t>(row), packed.data())));
    }
    return lines;
  }

  // BareTable sizes its index by its rows, which are lines here where there is text.
  static BareTable MakeTable(const Workload& workload, int64_t lines) {
    const double lines_per_row = static_cast<double>(lines) / static_cast<double>(workload.rows);
    BareTable table(lines, workload.key_bytes(), workload.shape.float_count,
                    kIndexLoad * lines_per_row, true);
    if (HasText(workload) && table.row_bytes != kLineBytes) {
      yardstick::Fail("rows with text must begin within one cache line");
    }
    return table;
  }

  const Workload workload_;
  BareTable table_;
};

struct Utf8Keys {
  explicit Utf8Keys(const ReadKeys& keys)
      : offsets(keys.offsets.data()), bytes(keys.bytes.data()) {}
  const char* Data(int64_t i) const { return bytes + offsets[i]; }
  size_t Size(int64_t i) const { return static_cast<size_t>(offsets[i + 1] - offsets[i]); }
  const int32_t* const offsets;
  const char* const bytes;
};

// The size is known when compiled, so hash and comparison are a few instructions.
struct Int64Keys {
  explicit Int64Keys(const ReadKeys& keys) : bytes(keys.bytes.data()) {}
  const char* Data(int64_t i) const { return bytes + i * 8; }
  size_t Size(int64_t) const { return 8; }
  const char* const bytes;
};

template <typename Keys>
class RowsReader final : public Reader {
 public:
  // lines_ahead: cache lines of a row that are fetched once the index has named it.
  RowsReader(const BareRows& rows, int64_t keys_max, int64_t block)
      : table_(rows.table()),
        gather_(rows.workload().shape, keys_max, Output::kColumns),
        block_(block),
        hashes_(static_cast<size_t>(keys_max)),
        found_(static_cast<size_t>(keys_max)),
        values_(static_cast<size_t>(block)) {
    const Shape& shape = rows.workload().shape;
    int64_t line = 0;
    for (const int64_t column : shape.floats_read) {
      const int64_t offset = (table_.values_offset + column * 4) / kLineBytes * kLineBytes;
      if (offset != line) lines_behind_first_.push_back(line = offset);
    }
    // Two rows with text of three are in two lines; the third is left to the processor.
    if (shape.text_count > 0) lines_behind_first_ = {kLineBytes};
  }

  void Prepare(const ReadKeys&) override {}

  void Read(const ReadKeys& read_keys) override {
    const Keys keys(read_keys);
    const int64_t count = read_keys.count();
    for (int64_t begin = 0; begin < count + 2 * block_; begin += block_) {
      Hash(keys, begin, std::min(begin + block_, count));
      Probe(std::max<int64_t>(begin - block_, 0), std::min(begin, count));
      Take(keys, std::max<int64_t>(begin - 2 * block_, 0), std::min(begin - block_, count));
    }
    gather_.template Finish<true>(count);
  }

  Answer Result() const override { return gather_.Result(); }

 private:
  void Hash(const Keys& keys, int64_t begin, int64_t end) {
    uint64_t* const hashes = hashes_.data();
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t hash = XXH3_64bits(keys.Data(i), keys.Size(i));
      hashes[i] = hash;
      _mm_prefetch(reinterpret_cast<const char*>(table_.Line(table_.HomeLine(hash))), _MM_HINT_T0);
    }
  }

  void Probe(int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint32_t found = table_.Probe(hashes_[static_cast<size_t>(i)]);
      found_[static_cast<size_t>(i)] = found;
      const char* const row = found == kNoRow ? table_.missing_row : table_.Row(found);
      _mm_prefetch(row, _MM_HINT_T0);
      for (const int64_t line : lines_behind_first_) _mm_prefetch(row + line, _MM_HINT_T0);
    }
  }

  void Take(const Keys& keys, int64_t begin, int64_t end) {
    if (begin >= end) return;
    for (int64_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>(i);
      values_[static_cast<size_t>(i - begin)] =
          table_.Verify(found_[at], hashes_[at], keys.Data(i), keys.Size(i)) + table_.values_offset;
    }
    gather_.Take(values_.data(), begin, end);
  }

  const BareTable& table_;
  RowGather gather_;
  const int64_t block_;
  std::vector<int64_t> lines_behind_first_;
  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> found_;
  std::vector<const char*> values_;  // of a block
};

// The yardstick itself, where it knows the shape.
class YardstickReader final : public Reader {
 public:
  YardstickReader(const BareRows& rows, int64_t keys_max)
      : reader_(rows.table(), rows.workload().shape.floats_read, keys_max) {}
  void Prepare(const ReadKeys&) override {}
  void Read(const ReadKeys& keys) override {
    reader_.Read(
        {keys.offsets.data(), keys.bytes.data(), keys.count()},
        reader_.Transposes() ? yardstick::Shape::kBlocksTransposed : yardstick::Shape::kBlocks, 24);
  }
  Answer Result() const override {
    Answer answer;
    answer.floats.assign(reader_.Outputs().begin(), reader_.Outputs().end());
    return answer;
  }

 private:
  yardstick::BareReader reader_;
};

class BareStore final : public Store {
 public:
  BareStore(std::shared_ptr<const BareRows> rows, std::string setting)
      : rows_(std::move(rows)), setting_(std::move(setting)) {}

  std::unique_ptr<Reader> NewReader(int64_t keys_max) override {
    if (setting_ == "yardstick") return std::make_unique<YardstickReader>(*rows_, keys_max);
    const int64_t block = setting_ == "blocks_8" ? 8 : setting_ == "blocks_64" ? 64 : 24;
    if (rows_->workload().key_type == KeyType::kInt64) {
      return std::make_unique<RowsReader<Int64Keys>>(*rows_, keys_max, block);
    }
    return std::make_unique<RowsReader<Utf8Keys>>(*rows_, keys_max, block);
  }

 private:
  const std::shared_ptr<const BareRows> rows_;
  const std::string setting_;
};

// Settings of one run share the table.
std::unique_ptr<Store> Open(const Setting& setting, const OpenOptions& options) {
  static std::weak_ptr<const BareRows> shared;
  std::shared_ptr<const BareRows> rows = shared.lock();
  if (rows == nullptr) shared = rows = std::make_shared<const BareRows>(options.workload);
  return std::make_unique<BareStore>(rows, setting.name);
}

}  // namespace

StoreKind BareLoopKind() {
  StoreKind kind{.name = "bare_loop", .settings = {}, .load = nullptr, .open = Open};
  kind.settings = {
      {.name = "blocks_24", .reason = "stages over blocks of 24 keys, as the yardstick"},
      {.name = "blocks_8", .reason = "shorter blocks: wide rows need more lines under way a key"},
      {.name = "blocks_64", .reason = "longer blocks: small batches spend less on filling up"},
      {.name = "yardstick",
       .reason = "the loop of bench/yardstick/bare_loop.h as it is",
       .is_for_floats_only = true}};
  return kind;
}

}  // namespace fletching::bench
