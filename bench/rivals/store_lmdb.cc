// LMDB 0.9 with one packed row per key, read inside one transaction that is renewed for each read.
// Each setting opens a hard link to its load's file with a lock file of its own, because LMDB
// refuses one environment twice in a process.
#include <filesystem>
#include <lmdb.h>
#include <numeric>

#include "rivals/gather.h"
#include "rivals/store.h"

namespace fletching::bench {
namespace {

namespace fs = std::filesystem;

void Must(int code, const char* what) {
  if (code != 0) yardstick::Fail(std::string("lmdb: ") + what + ": " + mdb_strerror(code));
}

MDB_val ValOf(std::string_view bytes) {
  return {bytes.size(), const_cast<char*>(bytes.data())};  // LMDB only reads it
}

class Environment {
 public:
  Environment(const std::string& dir, unsigned flags, int64_t map_bytes) {
    Must(mdb_env_create(&env_), "mdb_env_create");
    Must(mdb_env_set_mapsize(env_, static_cast<size_t>(map_bytes)), "mdb_env_set_mapsize");
    Must(mdb_env_open(env_, dir.c_str(), flags, 0644), "mdb_env_open");
  }
  ~Environment() { mdb_env_close(env_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  MDB_env* get() const { return env_; }

 private:
  MDB_env* env_ = nullptr;
};

// Pages are half full at worst.
int64_t MapBytes(const Workload& workload) {
  const int64_t row_bytes = workload.key_bytes() + PackedBytesMax(workload.shape) + 32;
  return workload.rows * row_bytes * 2 + workload.rows / 2 * 64 + (int64_t{256} << 20);
}

// Integer keys are compared as numbers, in the machine's own order of bytes.
unsigned KeyFlags(const Workload& workload) {
  return workload.key_type == KeyType::kInt64 ? MDB_INTEGERKEY : 0;
}

double Load(const Workload& workload, const std::string& load, const std::string& dir) {
  const bool is_append = load == "append";
  const unsigned flags = is_append ? MDB_NOSYNC : MDB_WRITEMAP | MDB_NOSYNC;
  const Environment environment(dir, flags, MapBytes(workload));
  RowFeed feed(workload, false);
  while (feed.NextChunk()) {
    MDB_txn* txn = nullptr;
    MDB_dbi dbi = 0;
    Must(mdb_txn_begin(environment.get(), nullptr, 0, &txn), "mdb_txn_begin");
    Must(mdb_dbi_open(txn, nullptr, KeyFlags(workload), &dbi), "mdb_dbi_open");
    for (int64_t i = 0; i < feed.count(); ++i) {
      MDB_val key = ValOf(feed.Key(i));
      MDB_val value = ValOf(feed.Value(i));
      Must(mdb_put(txn, dbi, &key, &value, is_append ? MDB_APPEND : 0), "mdb_put");
    }
    Must(mdb_txn_commit(txn), "mdb_txn_commit");
  }
  Must(mdb_env_sync(environment.get(), 1), "mdb_env_sync");
  return feed.SecondsOfStore();
}

class LmdbReader final : public Reader {
 public:
  LmdbReader(MDB_env* env, const Setting& setting, const Workload& workload, int64_t keys_max)
      : key_bytes_(static_cast<size_t>(workload.key_bytes())),
        key_type_(workload.key_type),
        is_sorted_(setting.name.starts_with("sorted")),
        gather_(workload.shape, keys_max,
                setting.name.ends_with("_rows") ? Output::kRows : Output::kColumns),
        missing_(PackMissingRow(workload.shape)),
        order_(static_cast<size_t>(keys_max)),
        rows_(static_cast<size_t>(keys_max)) {
    Must(mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn_), "mdb_txn_begin");
    Must(mdb_dbi_open(txn_, nullptr, KeyFlags(workload), &dbi_), "mdb_dbi_open");
    Must(mdb_cursor_open(txn_, dbi_, &cursor_), "mdb_cursor_open");
    mdb_txn_reset(txn_);
  }
  ~LmdbReader() override {
    mdb_cursor_close(cursor_);
    mdb_txn_abort(txn_);
  }

  void Prepare(const ReadKeys&) override {}

  void Read(const ReadKeys& keys) override {
    Must(mdb_txn_renew(txn_), "mdb_txn_renew");
    if (is_sorted_) {
      ReadSorted(keys);
    } else {
      ReadInOrder(keys);
    }
    gather_.Finish<false>(keys.count());
    mdb_txn_reset(txn_);
  }

  Answer Result() const override { return gather_.Result(); }

 private:
  const char* RowOf(int code, const MDB_val& value) const {
    if (code == MDB_NOTFOUND) return missing_.data();
    Must(code, "mdb_get");
    return static_cast<const char*>(value.mv_data);
  }

  void ReadInOrder(const ReadKeys& keys) {
    constexpr int64_t kBlock = 32;  // values are still in the first cache when they are copied
    for (int64_t begin = 0; begin < keys.count(); begin += kBlock) {
      const int64_t end = std::min(begin + kBlock, keys.count());
      for (int64_t i = begin; i < end; ++i) {
        MDB_val key{key_bytes_, const_cast<char*>(keys.Data(i))};
        MDB_val value;
        const int code = mdb_get(txn_, dbi_, &key, &value);
        rows_[static_cast<size_t>(i)] = RowOf(code, value);
      }
      gather_.Take(rows_.data() + begin, begin, end);
    }
  }

  // A cursor that moves forward looks at its own page first.
  void ReadSorted(const ReadKeys& keys) {
    SortOrder(keys);
    Must(mdb_cursor_renew(txn_, cursor_), "mdb_cursor_renew");
    for (int64_t k = 0; k < keys.count(); ++k) {
      const uint32_t i = order_[static_cast<size_t>(k)];
      MDB_val key{key_bytes_, const_cast<char*>(keys.Data(i))};
      MDB_val value;
      const int code = mdb_cursor_get(cursor_, &key, &value, MDB_SET_KEY);
      rows_[i] = RowOf(code, value);
    }
    gather_.Take(rows_.data(), 0, keys.count());
  }

  void SortOrder(const ReadKeys& keys) {
    const auto end = order_.begin() + keys.count();
    std::iota(order_.begin(), end, 0u);
    if (key_type_ == KeyType::kInt64) {
      const auto* numbers = reinterpret_cast<const uint64_t*>(keys.bytes.data());
      std::sort(order_.begin(), end,
                [&](uint32_t a, uint32_t b) { return numbers[a] < numbers[b]; });
      return;
    }
    // Fourteen bytes as one number: quicker to compare than by memcmp.
    const auto number = [&](uint32_t i) {
      uint64_t head, tail;
      std::memcpy(&head, keys.Data(i), 8);
      std::memcpy(&tail, keys.Data(i) + 6, 8);
      return std::pair(__builtin_bswap64(head), __builtin_bswap64(tail));
    };
    std::sort(order_.begin(), end, [&](uint32_t a, uint32_t b) { return number(a) < number(b); });
  }

  const size_t key_bytes_;
  const KeyType key_type_;
  const bool is_sorted_;
  RowGather gather_;
  const std::vector<char> missing_;
  std::vector<uint32_t> order_;
  std::vector<const char*> rows_;
  MDB_txn* txn_ = nullptr;
  MDB_dbi dbi_ = 0;
  MDB_cursor* cursor_ = nullptr;
};

class LmdbStore final : public Store {
 public:
  LmdbStore(const Setting& setting, const OpenOptions& open)
      : setting_(setting), workload_(open.workload) {
    fs::create_directories(open.open_dir);
    fs::create_hard_link(open.load_dir + "/data.mdb", open.open_dir + "/data.mdb");
    unsigned flags = MDB_RDONLY | MDB_NOTLS;  // readers of several threads and settings
    if (setting.name.find("nordahead") != std::string::npos) flags |= MDB_NORDAHEAD;
    if (setting.name.find("nolock") != std::string::npos) flags |= MDB_NOLOCK;
    environment_ = std::make_unique<Environment>(open.open_dir, flags, MapBytes(workload_));
  }

  std::unique_ptr<Reader> NewReader(int64_t keys_max) override {
    return std::make_unique<LmdbReader>(environment_->get(), setting_, workload_, keys_max);
  }

 private:
  const Setting setting_;
  const Workload workload_;
  std::unique_ptr<Environment> environment_;
};

}  // namespace

StoreKind LmdbKind() {
  StoreKind kind{.name = "lmdb", .settings = {}, .load = Load, .open = nullptr};
  kind.settings = {
      {.name = "get", .reason = "mdb_get of each key, loaded by MDB_APPEND", .load = "append"},
      {.name = "get_nordahead",
       .reason = "MDB_NORDAHEAD: the kernel reads no pages beside the one wanted",
       .load = "append"},
      {.name = "get_nolock",
       .reason = "MDB_NOLOCK: no reader table, so that a transaction is renewed for less",
       .load = "append"},
      {.name = "sorted_cursor",
       .reason = "keys sorted within the read, a cursor that moves forward",
       .load = "append"},
      {.name = "get_rows",
       .reason = "as get, floats left side by side for each key instead of in columns",
       .load = "append",
       .is_for_floats_only = true},
      {.name = "writemap_get",
       .reason = "loaded by MDB_WRITEMAP without MDB_APPEND, as rows come in daily life",
       .load = "writemap"}};
  kind.open = [](const Setting& setting, const OpenOptions& open) -> std::unique_ptr<Store> {
    return std::make_unique<LmdbStore>(setting, open);
  };
  return kind;
}

}  // namespace fletching::bench
