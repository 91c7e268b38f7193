// From rows to columns: the copying that the bare loop and the rivals share, so that all of them
// have the best of it. Rows are packed as PackRow does, or missing rows.
#pragma once

#include <cstring>
#include <emmintrin.h>

#include "rivals/rows.h"

namespace fletching::bench {

// Where a read's rows go.
enum class Output {
  kColumns,  // float columns apart; texts sized for all rows, then copied
  kRows,     // floats side by side for each key
};

// Threads: one. Take rows in order, then Finish.
class RowGather {
 public:
  RowGather(const Shape& shape, int64_t keys_max, Output output)
      : output_(output),
        float_columns_(std::ssize(shape.floats_read)),
        text_columns_(shape.text_count),
        lengths_offset_(shape.float_count * 4) {
    for (const int64_t column : shape.floats_read) offsets_.push_back(column * 4);
    is_row_whole_ = std::ssize(shape.floats_read) == shape.float_count;
    // Columns a whole number of pages apart would fight for the same sets of the first cache.
    int64_t spacing = output == Output::kRows ? 1 : (keys_max + 15) / 16 * 16;
    if (spacing >= 1024 && spacing % 1024 < 96) spacing += 96;
    const int64_t floats =
        output == Output::kRows ? keys_max * float_columns_ + 16 : spacing * float_columns_ + 16;
    floats_.resize(static_cast<size_t>(floats));
    float* first = floats_.data();
    while (reinterpret_cast<uintptr_t>(first) % 64 != 0) ++first;
    for (int64_t c = 0; c < float_columns_; ++c) outputs_.push_back(first + c * spacing);
    texts_.resize(static_cast<size_t>(text_columns_));
    for (Text& text : texts_) text.offsets.resize(static_cast<size_t>(keys_max) + 1);
    if (text_columns_ > 0) ends_.resize(static_cast<size_t>(keys_max));
  }

  // rows[0 .. end - begin): packed rows of keys begin .. end.
  void Take(const char* const* rows, int64_t begin, int64_t end) {
    if (output_ == Output::kRows) {
      CopyRows(rows, begin, end);
      return;
    }
    CopyColumns(rows, begin, end);
    if (text_columns_ > 0) SizeTexts(rows, begin, end);
  }

  // kMayReadInFront: the kTextBytesMax bytes in front of the end of a text can be read, whatever
  // its length.
  template <bool kMayReadInFront>
  void Finish(int64_t count) {
    if (text_columns_ > 0) CopyTexts<kMayReadInFront>(count);
  }

  Answer Result() const {
    Answer answer;
    answer.floats.assign(outputs_.begin(), outputs_.end());
    if (output_ == Output::kRows) answer.stride = float_columns_;
    for (const Text& text : texts_)
      answer.texts.push_back({text.offsets.data(), text.bytes.data() + kTextBytesMax});
    return answer;
  }

 private:
  struct Text {
    std::vector<int32_t> offsets;
    std::vector<char> bytes;  // from kTextBytesMax on
  };

  void CopyRows(const char* const* rows, int64_t begin, int64_t end) {
    float* out = outputs_[0] + begin * float_columns_;
    for (int64_t i = 0; i < end - begin; ++i, out += float_columns_) {
      if (is_row_whole_) {
        std::memcpy(out, rows[i], static_cast<size_t>(float_columns_) * 4);
        continue;
      }
      for (int64_t c = 0; c < float_columns_; ++c) {
        std::memcpy(out + c, rows[i] + offsets_[static_cast<size_t>(c)], 4);
      }
    }
  }

  // Sixteen rows at a time fill whole cache lines of the columns.
  void CopyColumns(const char* const* rows, int64_t begin, int64_t end) {
    for (; begin < end; begin += 16, rows += 16) {
      const int64_t count = std::min<int64_t>(end - begin, 16);
      size_t c = 0;
      while (c < offsets_.size()) {
        if (c + 4 <= offsets_.size() && offsets_[c + 3] == offsets_[c] + 12) {
          CopyFour(rows, count, c, begin);
          c += 4;
        } else if (c + 2 <= offsets_.size() && offsets_[c + 1] == offsets_[c] + 4) {
          CopyTwo(rows, count, c, begin);
          c += 2;
        } else {
          CopyOne(rows, 0, count, c, begin);
          c += 1;
        }
      }
    }
  }

  void CopyOne(const char* const* rows, int64_t from, int64_t count, size_t c, int64_t begin) {
    float* const out = outputs_[c] + begin;
    const int64_t offset = offsets_[c];
    for (int64_t i = from; i < count; ++i) std::memcpy(out + i, rows[i] + offset, 4);
  }

  void CopyTwo(const char* const* rows, int64_t count, size_t c, int64_t begin) {
    const int64_t offset = offsets_[c];
    float* const a = outputs_[c] + begin;
    float* const b = outputs_[c + 1] + begin;
    const auto load = [&](int64_t row) {
      return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(rows[row] + offset));
    };
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      const __m128i low = _mm_unpacklo_epi32(load(i), load(i + 1));
      const __m128i high = _mm_unpacklo_epi32(load(i + 2), load(i + 3));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(a + i), _mm_unpacklo_epi64(low, high));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(b + i), _mm_unpackhi_epi64(low, high));
    }
    for (size_t k = c; k < c + 2; ++k) CopyOne(rows, i, count, k, begin);
  }

  void CopyFour(const char* const* rows, int64_t count, size_t c, int64_t begin) {
    const int64_t offset = offsets_[c];
    float* const outputs[4] = {outputs_[c] + begin, outputs_[c + 1] + begin,
                               outputs_[c + 2] + begin, outputs_[c + 3] + begin};
    const auto load = [&](int64_t row) {
      return _mm_loadu_ps(reinterpret_cast<const float*>(rows[row] + offset));
    };
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
      __m128 x = load(i), y = load(i + 1), z = load(i + 2), w = load(i + 3);
      _MM_TRANSPOSE4_PS(x, y, z, w);
      _mm_storeu_ps(outputs[0] + i, x);
      _mm_storeu_ps(outputs[1] + i, y);
      _mm_storeu_ps(outputs[2] + i, z);
      _mm_storeu_ps(outputs[3] + i, w);
    }
    for (size_t k = c; k < c + 4; ++k) CopyOne(rows, i, count, k, begin);
  }

  void SizeTexts(const char* const* rows, int64_t begin, int64_t end) {
    for (int64_t c = 0; c < text_columns_; ++c) {
      int32_t* const offsets = texts_[static_cast<size_t>(c)].offsets.data();
      int32_t at = begin == 0 ? 0 : offsets[begin];
      offsets[0] = 0;
      for (int64_t i = begin; i < end; ++i) {
        at += static_cast<uint8_t>(rows[i - begin][lengths_offset_ + c]);
        offsets[i + 1] = at;
      }
    }
    for (int64_t i = begin; i < end; ++i) {
      const char* row = rows[i - begin] + lengths_offset_;
      int64_t size = text_columns_;
      for (int64_t c = 0; c < text_columns_; ++c) size += static_cast<uint8_t>(row[c]);
      ends_[static_cast<size_t>(i)] = row + size;
      _mm_prefetch(row + size - 1, _MM_HINT_T0);  // its last line, whose place is known only now
    }
  }

  // From the last row to the first, so that what is copied too much in front of a text is
  // overwritten by the text it belongs to: no branch on a length that nobody can guess, and no look
  // at the line behind the row.
  template <bool kMayReadInFront>
  void CopyTexts(int64_t count) {
    char* bytes[8];
    const int32_t* offsets[8];
    for (size_t c = 0; c < texts_.size(); ++c) {
      Text& text = texts_[c];
      const size_t wanted =
          static_cast<size_t>(text.offsets[static_cast<size_t>(count)]) + kTextBytesMax;
      if (text.bytes.size() < wanted) text.bytes.resize(wanted * 2);
      bytes[c] = text.bytes.data() + kTextBytesMax;
      offsets[c] = text.offsets.data();
    }
    for (int64_t i = count - 1; i >= 0; --i) {
      const char* end = ends_[static_cast<size_t>(i)];
      for (int64_t c = text_columns_ - 1; c >= 0; --c) {
        const int32_t size = offsets[c][i + 1] - offsets[c][i];
        char* const out = bytes[c] + offsets[c][i];
        if (kMayReadInFront) {
          std::memcpy(out + size - kTextBytesMax, end - kTextBytesMax, kTextBytesMax);
        } else {
          std::memcpy(out, end - size, static_cast<size_t>(size));
        }
        end -= size;
      }
    }
  }

  const Output output_;
  const int64_t float_columns_, text_columns_;
  const int64_t lengths_offset_;  // bytes from the start of a row
  bool is_row_whole_ = false;
  std::vector<int64_t> offsets_;  // bytes into a row, one per float column read
  std::vector<float> floats_;
  std::vector<float*> outputs_;
  std::vector<Text> texts_;
  std::vector<const char*> ends_;  // of the rows of the whole read, where there are texts
};

}  // namespace fletching::bench
