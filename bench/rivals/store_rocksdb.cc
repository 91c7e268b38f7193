// RocksDB 7.8 with one packed row per key, everything in one sorted level after a full compaction.
// Each setting is opened on a checkpoint (hard links) of its load, so that several can be open.
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>

#include "rivals/gather.h"
#include "rivals/store.h"

namespace fletching::bench {
namespace {

void Must(const rocksdb::Status& status) {
  if (!status.ok()) yardstick::Fail("rocksdb: " + status.ToString());
}

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// Block-based: uncompressed, hash index within blocks, filter and index outside of the cache.
rocksdb::BlockBasedTableOptions BlockOptions(const std::string& load) {
  rocksdb::BlockBasedTableOptions table;
  table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
  table.data_block_hash_table_util_ratio = 0.75;
  table.format_version = 5;
  table.cache_index_and_filter_blocks = false;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.block_size = load == "block_1k" ? 1024 : 4096;
  table.block_align = load == "block_aligned";  // one page of the disk for each block
  if (load != "block_1k") table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  return table;
}

rocksdb::Options LoadOptions(const Workload& workload, const std::string& load) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.num_levels = 2;
  options.disable_auto_compactions = true;
  options.level0_slowdown_writes_trigger = 1 << 30;
  options.level0_stop_writes_trigger = 1 << 30;
  options.write_buffer_size = size_t{256} << 20;
  options.max_write_buffer_number = 4;
  options.max_compaction_bytes = uint64_t{1} << 50;
  options.target_file_size_base = uint64_t{1} << 40;  // one file
  options.allow_concurrent_memtable_write = false;
  options.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  options.max_open_files = -1;
  if (load == "plain") {
    rocksdb::PlainTableOptions table;
    table.user_key_len = static_cast<uint32_t>(workload.key_bytes());
    table.hash_table_ratio = 0.5;
    options.table_factory.reset(rocksdb::NewPlainTableFactory(table));
    options.prefix_extractor.reset(
        rocksdb::NewFixedPrefixTransform(static_cast<size_t>(workload.key_bytes())));
    options.target_file_size_base = uint64_t{1} << 30;  // it addresses rows by 31 bits
    options.allow_mmap_reads = true;
  } else if (load == "cuckoo") {
    rocksdb::CuckooTableOptions table;
    table.use_module_hash = false;
    options.table_factory.reset(rocksdb::NewCuckooTableFactory(table));
    options.allow_mmap_reads = true;
  } else {
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(BlockOptions(load)));
  }
  return options;
}

double Load(const Workload& workload, const std::string& load, const std::string& dir) {
  rocksdb::DB* opened = nullptr;
  Must(rocksdb::DB::Open(LoadOptions(workload, load), dir, &opened));
  const std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions unlogged;  // the flush below makes the rows durable
  unlogged.disableWAL = true;
  RowFeed feed(workload, true);
  while (feed.NextChunk()) {
    rocksdb::WriteBatch batch;
    for (int64_t i = 0; i < feed.count(); ++i) {
      Must(batch.Put(rocksdb::Slice(feed.Key(i).data(), feed.Key(i).size()),
                     rocksdb::Slice(feed.Value(i).data(), feed.Value(i).size())));
    }
    Must(db->Write(unlogged, &batch));
  }
  Must(db->Flush({}));
  rocksdb::CompactRangeOptions everything;
  everything.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  Must(db->CompactRange(everything, nullptr, nullptr));
  const double seconds = feed.SecondsOfStore();
  Must(db->Close());
  return seconds;
}

rocksdb::Options ReadOptionsOf(const Setting& setting, const OpenOptions& open) {
  rocksdb::Options options = LoadOptions(open.workload, setting.load);
  options.memtable_factory = std::make_shared<rocksdb::SkipListFactory>();
  if (setting.load == "plain" || setting.load == "cuckoo") return options;
  rocksdb::BlockBasedTableOptions table = BlockOptions(setting.load);
  if (Contains(setting.name, "mmap")) {
    options.allow_mmap_reads = true;
    table.no_block_cache = true;
    table.pin_l0_filter_and_index_blocks_in_cache = false;
  } else if (Contains(setting.name, "direct")) {
    options.use_direct_reads = true;
    table.block_cache = rocksdb::NewLRUCache(static_cast<size_t>(open.cache_bytes));
  } else {
    table.block_cache = rocksdb::NewLRUCache(size_t{1} << 40);  // larger than any data
  }
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

class RocksReader final : public Reader {
 public:
  RocksReader(rocksdb::DB* db, const Setting& setting, const Workload& workload, int64_t keys_max)
      : db_(db),
        key_type_(workload.key_type),
        is_multi_(Contains(setting.name, "multiget") || setting.name == "direct_reads"),
        gather_(workload.shape, keys_max,
                Contains(setting.name, "_rows") ? Output::kRows : Output::kColumns),
        missing_(PackMissingRow(workload.shape)),
        keys_(static_cast<size_t>(keys_max)),
        values_(static_cast<size_t>(keys_max)),
        statuses_(static_cast<size_t>(keys_max)),
        rows_(static_cast<size_t>(keys_max)) {
    options_.verify_checksums = false;
    options_.async_io = false;
  }

  void Prepare(const ReadKeys& keys) override {
    for (rocksdb::PinnableSlice& value : values_) value.Reset();
    integers_.clear();
    for (int64_t i = 0; i < keys.count(); ++i) {
      if (key_type_ == KeyType::kInt64) {
        integers_.push_back(__builtin_bswap64(keys.rows[static_cast<size_t>(i)]));
      } else {
        keys_[static_cast<size_t>(i)] = {keys.Data(i), 14};
      }
    }
    for (size_t i = 0; i < integers_.size(); ++i) {
      keys_[i] = {reinterpret_cast<const char*>(&integers_[i]), 8};
    }
  }

  void Read(const ReadKeys& keys) override {
    const int64_t count = keys.count();
    rocksdb::ColumnFamilyHandle* const family = db_->DefaultColumnFamily();
    if (is_multi_) {
      db_->MultiGet(options_, family, static_cast<size_t>(count), keys_.data(), values_.data(),
                    statuses_.data(), false);
    }
    constexpr int64_t kBlock = 32;  // values are still in the first cache when they are copied
    for (int64_t begin = 0; begin < count; begin += kBlock) {
      const int64_t end = std::min(begin + kBlock, count);
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        if (!is_multi_) statuses_[at] = db_->Get(options_, family, keys_[at], &values_[at]);
        if (!statuses_[at].ok() && !statuses_[at].IsNotFound()) Must(statuses_[at]);
        rows_[at] = statuses_[at].ok() ? values_[at].data() : missing_.data();
      }
      gather_.Take(rows_.data() + begin, begin, end);
    }
    gather_.Finish<false>(count);
  }

  Answer Result() const override { return gather_.Result(); }

 private:
  rocksdb::DB* const db_;
  const KeyType key_type_;
  const bool is_multi_;
  rocksdb::ReadOptions options_;
  RowGather gather_;
  const std::vector<char> missing_;
  std::vector<uint64_t> integers_;
  std::vector<rocksdb::Slice> keys_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
  std::vector<const char*> rows_;
};

class RocksStore final : public Store {
 public:
  RocksStore(const Setting& setting, const OpenOptions& open)
      : setting_(setting), workload_(open.workload) {
    const rocksdb::Options options = ReadOptionsOf(setting, open);
    rocksdb::DB* opened = nullptr;
    if (Contains(setting.name, "read_only")) {
      Must(rocksdb::DB::OpenForReadOnly(options, open.load_dir, &opened));
    } else {
      Link(open);
      Must(rocksdb::DB::Open(options, open.open_dir, &opened));
    }
    db_.reset(opened);
  }

  std::unique_ptr<Reader> NewReader(int64_t keys_max) override {
    return std::make_unique<RocksReader>(db_.get(), setting_, workload_, keys_max);
  }

 private:
  void Link(const OpenOptions& open) const {
    rocksdb::DB* opened = nullptr;
    Must(rocksdb::DB::OpenForReadOnly(LoadOptions(workload_, setting_.load), open.load_dir,
                                      &opened));
    const std::unique_ptr<rocksdb::DB> source(opened);
    rocksdb::Checkpoint* made = nullptr;
    Must(rocksdb::Checkpoint::Create(source.get(), &made));
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    Must(checkpoint->CreateCheckpoint(open.open_dir));
  }

  const Setting setting_;
  const Workload workload_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace

StoreKind RocksdbKind() {
  StoreKind kind{.name = "rocksdb", .settings = {}, .load = Load, .open = nullptr};
  kind.settings = {
      {.name = "block_multiget",
       .reason = "block-based, MultiGet, all in the block cache, Bloom filter, hash in blocks",
       .load = "block"},
      {.name = "block_1k_multiget",
       .reason = "the same with blocks of 1 KiB and no filter: less to search, less to ask",
       .load = "block_1k"},
      {.name = "block_get", .reason = "block-based, a Get for each key", .load = "block"},
      {.name = "block_1k_read_only_get",
       .reason = "blocks of 1 KiB, opened read-only: a Get skips versions and memory tables",
       .load = "block_1k"},
      {.name = "block_mmap_multiget",
       .reason = "block-based over mapped files, no block cache: nothing is looked up twice",
       .load = "block"},
      {.name = "plain_get",
       .reason = "PlainTable over mapped files, hash index of whole keys, Get",
       .load = "plain"},
      {.name = "plain_multiget", .reason = "the same with MultiGet", .load = "plain"},
      {.name = "plain_read_only_get",
       .reason = "PlainTable opened read-only: the shortest way to a row that RocksDB has",
       .load = "plain"},
      {.name = "plain_read_only_get_rows",
       .reason = "the same, floats left side by side for each key instead of in columns",
       .load = "plain",
       .is_for_floats_only = true},
      {.name = "cuckoo_get",
       .reason = "cuckoo hashing over mapped files: at most a few places to look",
       .load = "cuckoo",
       .needs_equal_rows = true},
      {.name = "direct_reads",
       .reason = "MultiGet, direct reads, block cache of --cache-bytes: for data beyond memory",
       .load = "block_aligned",
       .only_by_name = true}};
  kind.open = [](const Setting& setting, const OpenOptions& open) -> std::unique_ptr<Store> {
    return std::make_unique<RocksStore>(setting, open);
  };
  return kind;
}

}  // namespace fletching::bench
