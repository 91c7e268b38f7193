// Rows, keys and answers of the embedded rivals: what every store is loaded with, asked for and
// checked against. Values follow from their place, so that no second copy of the data is needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "yardstick/measure.h"

namespace fletching::bench {

enum class KeyType { kUtf8, kInt64 };

// Columns of a row and which of them a read asks for. Text columns are all read.
struct Shape {
  std::string name;
  int64_t float_count = 0;
  std::vector<int64_t> floats_read;  // ascending
  int64_t text_count = 0;
};

// By the name in --shape; ends the program when there is none such.
Shape ShapeOf(const std::string& name, uint64_t seed);

struct Workload {
  Shape shape;
  int64_t rows = 0;
  KeyType key_type = KeyType::kUtf8;

  int64_t key_bytes() const { return key_type == KeyType::kUtf8 ? 14 : 8; }
  std::string ToString() const;
};

// As in the bare loop: exact in float32.
inline float ValueOf(uint64_t row, uint64_t column) {
  return static_cast<float>(((row * 2654435761u) ^ (column * 40503u)) & 0xFFFFFF);
}

// Text c of a row: the hex digits of splitmix64(row * 8 + c), again and again, cut to 5 to 40
// bytes: 5 + splitmix64(row * 8 + c + 4) % 36. Writes 48 bytes; returns how many count.
inline constexpr int64_t kTextBytesMax = 40;
inline constexpr int64_t kTextRoom = 48;
int64_t WriteText(uint64_t row, uint64_t column, char* out);

// "user:%09d" or the number itself, big-endian if asked for. Returns the bytes written.
int64_t WriteRowKey(uint64_t row, KeyType type, bool big_endian, char* out);

// A row as rivals and the bare loop store it: float32[float_count], then, if there are texts, u8
// length[text_count] and their bytes. Returns its size.
int64_t PackRow(const Shape& shape, uint64_t row, char* out);
int64_t PackedBytesMax(const Shape& shape);
// What an absent key reads: NaN, and texts of no bytes.
std::vector<char> PackMissingRow(const Shape& shape);

// Keys of one read, as an Arrow array holds them.
struct ReadKeys {
  std::vector<uint64_t> rows;  // those from Workload::rows on are in no row
  std::vector<int32_t> offsets;
  std::vector<char> bytes;

  int64_t count() const { return static_cast<int64_t>(rows.size()); }
  const char* Data(int64_t i) const { return bytes.data() + offsets[static_cast<size_t>(i)]; }
  // Writes offsets and bytes for `rows`.
  void Encode(KeyType type);
};

// Draws ranks of 1 .. count with a probability as rank^-0.99, as Gray et al. do ("Quickly
// generating billion-record synthetic databases").
class Zipf {
 public:
  explicit Zipf(uint64_t count);
  // u: uniform in [0, 1).
  uint64_t Rank(double u) const;

 private:
  uint64_t count_;
  double zeta_ = 0, eta_ = 0;
};

// Which rows are asked for. With a Zipf distribution, rank k stands for row
// splitmix64(k) * rows / 2^64, so that popular rows lie apart.
class KeyDraw {
 public:
  // zipf: null for uniform keys. Lifetime: outlives it.
  KeyDraw(const Workload& workload, const Zipf* zipf, double miss_ratio, uint64_t seed);
  void Draw(int64_t count, ReadKeys* keys);

 private:
  uint64_t DrawRow();

  const KeyType key_type_;
  const uint64_t rows_;
  const Zipf* const zipf_;
  const uint64_t misses_per_million_;
  yardstick::Random random_;
};

struct TextColumn {
  const int32_t* offsets = nullptr;
  const char* bytes = nullptr;
};

// What a read made. Lifetime: until the reader's next read.
struct Answer {
  std::vector<const float*> floats;  // per column read: the value of key i at [i * stride]
  int64_t stride = 1;                // 1: separate columns
  std::vector<TextColumn> texts;
  // Bit i: key i was found. Null: NaN and texts of no bytes say that it was not.
  const uint8_t* found = nullptr;
};

// Compares every value with its formula and ends the program at the first that differs. Returns how
// many were compared.
int64_t CheckAnswer(const std::string& who, const Workload& workload, const ReadKeys& keys,
                    const Answer& answer);

}  // namespace fletching::bench
