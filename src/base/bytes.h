// Unaligned little-endian loads and stores, and the byte span every room passes around.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace fletching {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian and are mapped as they are");

using ByteSpan = std::span<const uint8_t>;

template <typename T>
inline T LoadAs(const void* source) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, source, sizeof(T));
  return value;
}

template <typename T>
inline void StoreAs(void* target, T value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(target, &value, sizeof(T));
}

// `alignment` is a power of two.
constexpr uint64_t RoundUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}

inline ByteSpan AsBytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline bool GetBit(const uint8_t* bits, int64_t index) {
  return (bits[index >> 3] >> (index & 7)) & 1;
}
inline void SetBit(uint8_t* bits, int64_t index) {
  bits[index >> 3] = static_cast<uint8_t>(bits[index >> 3] | (1u << (index & 7)));
}
inline void ClearBit(uint8_t* bits, int64_t index) {
  bits[index >> 3] = static_cast<uint8_t>(bits[index >> 3] & ~(1u << (index & 7)));
}

}  // namespace fletching
