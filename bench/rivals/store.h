// What the embedded rivals have in common, as embedded_rivals drives them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "rivals/rows.h"

namespace fletching::bench {

// Reads batches of keys, again and again. Threads: one; each has its own.
class Reader {
 public:
  virtual ~Reader() = default;
  // Puts the keys into the form that the store wants, and lets go of the answer before. Not timed.
  virtual void Prepare(const ReadKeys& keys) = 0;
  // Timed: from keys to columns.
  virtual void Read(const ReadKeys& keys) = 0;
  virtual Answer Result() const = 0;
};

// An opened store with one way to read it.
class Store {
 public:
  virtual ~Store() = default;
  // keys_max: the largest batch. Lifetime: the store outlives it.
  virtual std::unique_ptr<Reader> NewReader(int64_t keys_max) = 0;
};

struct Setting {
  std::string name;
  std::string reason;               // one line, for --help
  std::string load = {};            // settings of one load are read from the same files
  bool needs_equal_rows = false;    // cannot hold rows of different sizes
  bool is_for_floats_only = false;  // says nothing where there is text
  bool only_by_name = false;        // not part of --setting=all
};

struct OpenOptions {
  Workload workload;
  std::string load_dir;     // what Load filled
  std::string open_dir;     // empty; for links to those files, or nothing
  int64_t cache_bytes = 0;  // of settings that bound their cache
};

struct StoreKind {
  std::string name;
  std::vector<Setting> settings;
  // Fills an empty folder, durably. Returns the seconds that took, without making the rows. Null:
  // the store lives in memory and is filled by `open`.
  std::function<double(const Workload&, const std::string& load, const std::string& dir)> load;
  std::function<std::unique_ptr<Store>(const Setting&, const OpenOptions&)> open;
};

StoreKind FletchingKind();
StoreKind BareLoopKind();
StoreKind RocksdbKind();
StoreKind LmdbKind();

// Makes all rows of a workload, a chunk at a time and outside of the time that it counts: keys in
// ascending order as the rivals store them, rows packed.
class RowFeed {
 public:
  RowFeed(const Workload& workload, bool big_endian_keys);
  // False when there are no more rows.
  bool NextChunk();
  int64_t count() const { return count_; }
  std::string_view Key(int64_t i) const {
    return {keys_.data() + i * key_bytes_, static_cast<size_t>(key_bytes_)};
  }
  std::string_view Value(int64_t i) const {
    const auto at = static_cast<size_t>(i);
    return {values_.data() + ends_[at], static_cast<size_t>(ends_[at + 1] - ends_[at])};
  }
  // Since the first chunk was made, without the making of chunks.
  double SecondsOfStore() const;

 private:
  const Workload& workload_;
  const bool big_endian_keys_;
  const int64_t key_bytes_;
  int64_t first_ = 0, count_ = 0, making_nanos_ = 0, start_nanos_ = 0;
  std::vector<char> keys_, values_;
  std::vector<int64_t> ends_;
};

}  // namespace fletching::bench
