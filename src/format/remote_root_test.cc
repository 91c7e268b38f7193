// A root says after decoding what it said before, and nothing when a byte of it was touched.
#include "format/remote_root.h"

#include <gtest/gtest.h>

#include "base/checksum.h"

namespace fletching::format {
namespace {

RemoteRoot Sample() {
  return {.sequence = 9,
          .writer_id = "8d1f",
          .published_time_us = 1'795'000'000'000'000,
          .tables = {{.id = 1, .manifest = "bytes", .segments = {"a.flseg", "b.flseg"}},
                     {.id = 7, .manifest = "", .segments = {}}}};
}

TEST(RemoteRoot, SaysAfterDecodingWhatItSaidBefore) {
  const std::vector<uint8_t> bytes = EncodeRemoteRoot(Sample());
  const auto decoded = DecodeRemoteRoot(bytes, "root");
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->sequence, 9u);
  EXPECT_EQ(decoded->writer_id, "8d1f");
  ASSERT_EQ(decoded->tables.size(), 2u);
  EXPECT_EQ(decoded->tables[0].segments, (std::vector<std::string>{"a.flseg", "b.flseg"}));
  EXPECT_EQ(EncodeRemoteRoot(*decoded), bytes);
}

TEST(RemoteRoot, IsRefusedWithAnyBitTurnedOverAndAtAnyShorterLength) {
  const std::vector<uint8_t> good = EncodeRemoteRoot(Sample());
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::vector<uint8_t> bytes = good;
    bytes[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_FALSE(DecodeRemoteRoot(bytes, "root").ok()) << bit;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    std::vector<uint8_t> bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(DecodeRemoteRoot(bytes, "root").ok()) << size;
    if (size < sizeof(RemoteRootHeader)) continue;
    auto header = LoadAs<RemoteRootHeader>(bytes.data());
    header.payload_bytes = size - sizeof(header);
    header.payload_checksum = Checksum(ByteSpan(bytes).subspan(sizeof(header)));
    header.checksum =
        Checksum({reinterpret_cast<const uint8_t*>(&header), offsetof(RemoteRootHeader, checksum)});
    StoreAs(bytes.data(), header);
    EXPECT_FALSE(DecodeRemoteRoot(bytes, "root").ok()) << size;
  }
}

TEST(RemoteRoot, OfANewerVersionIsNamedSo) {
  std::vector<uint8_t> bytes = EncodeRemoteRoot(Sample());
  StoreAs(bytes.data() + offsetof(RemoteRootHeader, version), kRemoteRootVersion + 1);
  const auto decoded = DecodeRemoteRoot(bytes, "root");
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(CodeOf(decoded.status()), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace fletching::format
