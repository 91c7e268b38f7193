#include "rivals/rows.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

namespace fletching::bench {

using yardstick::Fail;
using yardstick::Random;

namespace {

constexpr double kZipfExponent = 0.99;

uint64_t SplitMix64(uint64_t x) { return Random(x).Next(); }

std::vector<int64_t> FirstColumns(int64_t count) {
  std::vector<int64_t> columns;
  for (int64_t c = 0; c < count; ++c) columns.push_back(c);
  return columns;
}

// As bare_loop and engine_read_bench choose them.
std::vector<int64_t> ChooseColumns(int64_t chosen_count, int64_t count, uint64_t seed) {
  std::set<int64_t> chosen;
  Random random(seed + 77);
  while (std::ssize(chosen) < chosen_count) {
    chosen.insert(static_cast<int64_t>(random.Below(static_cast<uint64_t>(count))));
  }
  return {chosen.begin(), chosen.end()};
}

[[noreturn]] void FailAt(const std::string& who, uint64_t row, const std::string& column) {
  Fail(who + ": wrong value of key " + std::to_string(row) + " in column " + column);
}

}  // namespace

Shape ShapeOf(const std::string& name, uint64_t seed) {
  if (name == "floats10") return {name, 10, FirstColumns(10), 0};
  if (name == "floats10of500") return {name, 500, ChooseColumns(10, 500, seed), 0};
  if (name == "floats40") return {name, 40, FirstColumns(40), 0};
  if (name == "floats100") return {name, 100, FirstColumns(100), 0};
  if (name == "mixed") return {name, 5, FirstColumns(5), 3};
  Fail("--shape is floats10, floats10of500, floats40, floats100 or mixed, got '" + name + "'");
}

std::string Workload::ToString() const {
  return shape.name + " " + std::to_string(rows) + " rows, " +
         (key_type == KeyType::kUtf8 ? "utf8" : "int64") + " keys";
}

int64_t WriteText(uint64_t row, uint64_t column, char* out) {
  const uint64_t digits = SplitMix64(row * 8 + column);
  for (int i = 0; i < 16; ++i) out[i] = "0123456789abcdef"[digits >> (60 - 4 * i) & 15];
  std::memcpy(out + 16, out, 16);
  std::memcpy(out + 32, out, 16);
  return 5 + static_cast<int64_t>(SplitMix64(row * 8 + column + 4) % 36);
}

int64_t WriteRowKey(uint64_t row, KeyType type, bool big_endian, char* out) {
  if (type == KeyType::kInt64) {
    const uint64_t number = big_endian ? __builtin_bswap64(row) : row;
    std::memcpy(out, &number, 8);
    return 8;
  }
  std::memcpy(out, "user:", 5);
  for (char* digit = out + 13; digit >= out + 5; --digit) {
    *digit = static_cast<char>('0' + row % 10);
    row /= 10;
  }
  return 14;
}

int64_t PackRow(const Shape& shape, uint64_t row, char* out) {
  char* at = out;
  for (int64_t c = 0; c < shape.float_count; ++c, at += 4) {
    const float value = ValueOf(row, static_cast<uint64_t>(c));
    std::memcpy(at, &value, 4);
  }
  char* lengths = at;
  at += shape.text_count;
  for (int64_t c = 0; c < shape.text_count; ++c) {
    char text[kTextRoom];
    const int64_t size = WriteText(row, static_cast<uint64_t>(c), text);
    lengths[c] = static_cast<char>(size);
    std::memcpy(at, text, static_cast<size_t>(size));
    at += size;
  }
  return at - out;
}

int64_t PackedBytesMax(const Shape& shape) {
  return shape.float_count * 4 + shape.text_count * (1 + kTextBytesMax);
}

std::vector<char> PackMissingRow(const Shape& shape) {
  std::vector<char> row(static_cast<size_t>(PackedBytesMax(shape) + kTextRoom), 0);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (int64_t c = 0; c < shape.float_count; ++c) std::memcpy(row.data() + c * 4, &nan, 4);
  return row;
}

void ReadKeys::Encode(KeyType type) {
  const int64_t key_bytes = type == KeyType::kUtf8 ? 14 : 8;
  offsets.resize(rows.size() + 1);
  bytes.resize(rows.size() * static_cast<size_t>(key_bytes));
  offsets[0] = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    WriteRowKey(rows[i], type, false, bytes.data() + offsets[i]);
    offsets[i + 1] = offsets[i] + static_cast<int32_t>(key_bytes);
  }
}

Zipf::Zipf(uint64_t count) : count_(count) {
  for (uint64_t k = 1; k <= count; ++k) zeta_ += std::pow(static_cast<double>(k), -kZipfExponent);
  const double zeta_of_2 = 1 + std::pow(2.0, -kZipfExponent);
  eta_ =
      (1 - std::pow(2.0 / static_cast<double>(count), 1 - kZipfExponent)) / (1 - zeta_of_2 / zeta_);
}

uint64_t Zipf::Rank(double u) const {
  if (u * zeta_ < 1) return 1;
  if (u * zeta_ < 1 + std::pow(0.5, kZipfExponent)) return 2;
  const double part = std::pow(eta_ * u - eta_ + 1, 1 / (1 - kZipfExponent));
  return 1 + std::min(count_ - 1, static_cast<uint64_t>(static_cast<double>(count_) * part));
}

KeyDraw::KeyDraw(const Workload& workload, const Zipf* zipf, double miss_ratio, uint64_t seed)
    : key_type_(workload.key_type),
      rows_(static_cast<uint64_t>(workload.rows)),
      zipf_(zipf),
      misses_per_million_(static_cast<uint64_t>(miss_ratio * 1e6 + 0.5)),
      random_(seed) {}

uint64_t KeyDraw::DrawRow() {
  if (zipf_ == nullptr) return random_.Below(rows_);
  const uint64_t rank = zipf_->Rank(static_cast<double>(random_.Next() >> 11) * 0x1p-53);
  return static_cast<uint64_t>((static_cast<unsigned __int128>(SplitMix64(rank)) * rows_) >> 64);
}

void KeyDraw::Draw(int64_t count, ReadKeys* keys) {
  keys->rows.resize(static_cast<size_t>(count));
  for (uint64_t& row : keys->rows) {
    const bool is_miss = random_.Below(1'000'000) < misses_per_million_;
    row = DrawRow() + (is_miss ? rows_ : 0);
  }
  keys->Encode(key_type_);
}

int64_t CheckAnswer(const std::string& who, const Workload& workload, const ReadKeys& keys,
                    const Answer& answer) {
  const Shape& shape = workload.shape;
  const auto rows = static_cast<uint64_t>(workload.rows);
  const int64_t count = keys.count();
  if (answer.floats.size() != shape.floats_read.size() ||
      std::ssize(answer.texts) != shape.text_count) {
    Fail(who + ": the answer has not the columns asked for");
  }
  const auto is_hit = [&](int64_t i) { return keys.rows[static_cast<size_t>(i)] < rows; };
  for (int64_t i = 0; answer.found != nullptr && i < count; ++i) {
    if (((answer.found[i >> 3] >> (i & 7)) & 1) != is_hit(i)) {
      FailAt(who, keys.rows[static_cast<size_t>(i)], "'found'");
    }
  }
  for (size_t c = 0; c < answer.floats.size(); ++c) {
    const auto column = static_cast<uint64_t>(shape.floats_read[c]);
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t row = keys.rows[static_cast<size_t>(i)];
      const float value = answer.floats[c][i * answer.stride];
      const bool is_right =
          is_hit(i) ? value == ValueOf(row, column) : answer.found != nullptr || std::isnan(value);
      if (!is_right) FailAt(who, row, "f" + std::to_string(column));
    }
  }
  for (size_t c = 0; c < answer.texts.size(); ++c) {
    const TextColumn& text = answer.texts[c];
    for (int64_t i = 0; i < count; ++i) {
      const uint64_t row = keys.rows[static_cast<size_t>(i)];
      char wanted[kTextRoom];
      const int64_t size = is_hit(i) ? WriteText(row, c, wanted) : 0;
      if (text.offsets[i + 1] - text.offsets[i] != size ||
          std::memcmp(text.bytes + text.offsets[i], wanted, static_cast<size_t>(size)) != 0) {
        FailAt(who, row, "t" + std::to_string(c));
      }
    }
  }
  return count * static_cast<int64_t>(answer.floats.size() + answer.texts.size());
}

}  // namespace fletching::bench
