#include "base/checksum.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace fletching {
namespace {

// The value is written into files, so a changed library must not change it unnoticed.
TEST(Checksum, IsXxh3WithItsPublishedValues) {
  EXPECT_EQ(Checksum(ByteSpan{}), 0x2D06800538D394C2u);
  EXPECT_EQ(Checksum(ByteSpan{}, 0), Checksum(ByteSpan{}));
}

TEST(Checksum, ChangesWithEveryBitOfShortAndLongInputs) {
  for (size_t size : {1u, 16u, 17u, 128u, 240u, 241u, 4096u}) {
    std::string text(size, 'x');
    const uint64_t before = Checksum(AsBytes(text));
    for (size_t bit = 0; bit < size * 8; bit += 7) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_NE(Checksum(AsBytes(text)), before) << size << " bytes, bit " << bit;
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    }
  }
}

TEST(Checksum, DependsOnTheSeed) {
  EXPECT_NE(Checksum(AsBytes("abc"), 1), Checksum(AsBytes("abc"), 2));
}

TEST(Checksum, OfPiecesIsThatOfTheWhole) {
  std::string text(5000, 'x');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 % 251);
  const ByteSpan whole = AsBytes(text);
  for (size_t size : {0u, 1u, 40u, 240u, 241u, 1024u, 5000u}) {
    for (size_t piece : {1u, 7u, 40u, 256u, 4096u}) {
      std::vector<ByteSpan> pieces;
      for (size_t at = 0; at < size; at += piece) {
        pieces.push_back(whole.subspan(at, std::min(piece, size - at)));
      }
      EXPECT_EQ(ChecksumOfPieces(pieces), Checksum(whole.first(size))) << size << " by " << piece;
    }
  }
}

}  // namespace
}  // namespace fletching
