#include "api/plain_strings.h"

#include <algorithm>
#include <bit>
#include <limits>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fletching::api {
namespace {

constexpr size_t kStep = 16;  // bytes looked at, and written, at once
constexpr size_t kRoomBytes = size_t{64} << 10;
constexpr size_t kTextBytesMax = std::numeric_limits<int32_t>::max();

bool IsPlain(char byte) { return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\'; }

#if defined(__SSE2__) && !defined(FLETCHING_NO_SIMD)
// Copies 16 bytes. -> how many of them come before the first that is not plain.
size_t CopyStep(const char* from, char* to) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  // Signed: what is not ASCII is less than a space as well.
  const __m128i odd = _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')),
                                                _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F))),
                                   _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
  return std::countr_zero(static_cast<uint32_t>(_mm_movemask_epi8(odd)) | (1U << kStep));
}
#else
size_t CopyStep(const char* from, char* to) {
  size_t count = 0;
  for (; count < kStep && IsPlain(from[count]); ++count) to[count] = from[count];
  return count;
}
#endif

size_t SkipSpace(std::string_view rest, size_t at) {
  while (at < rest.size() && (rest[at] == ' ' || rest[at] == '\n' || rest[at] == '\t')) ++at;
  return at;
}

}  // namespace

size_t TakePlainStrings(std::string_view rest, std::string* text, std::vector<int32_t>* ends) {
  size_t taken = SkipSpace(rest, 0);
  size_t kept = text->size();  // of *text; what lies behind is room
  size_t out = kept;
  size_t at = taken;
  bool any = false;
  while (at < rest.size() && rest[at] == '"') {
    ++at;
    while (true) {
      if (out + kStep > text->size()) {
        text->resize(out + kStep + std::min(rest.size() - taken, kRoomBytes));
      }
      size_t count = 0;
      size_t step = kStep;
      if (rest.size() - at >= kStep) {
        count = CopyStep(rest.data() + at, text->data() + out);
      } else {
        step = rest.size() - at;
        for (; count < step && IsPlain(rest[at + count]); ++count) {
          (*text)[out + count] = rest[at + count];
        }
      }
      at += count;
      out += count;
      if (count < step || step < kStep) break;
    }
    if (at == rest.size() || rest[at] != '"' || out > kTextBytesMax) break;
    at = SkipSpace(rest, at + 1);
    if (at == rest.size() || rest[at] != ',') break;
    at = SkipSpace(rest, at + 1);
    if (at == rest.size() || rest[at] != '"') break;
    ends->push_back(static_cast<int32_t>(out));
    kept = out;
    taken = at;
    any = true;
  }
  text->resize(kept);
  return any ? taken : 0;
}

}  // namespace fletching::api
