#include "io/scratch_memory.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>

#include "io/test_folder.h"

namespace fletching::io {
namespace {

TEST(ScratchMemory, HoldsWhatIsWrittenAndLeavesNoFile) {
  const TestFolder folder;
  const auto scratch = ScratchMemory::Make(folder.path());
  if (scratch == nullptr) GTEST_SKIP() << "no O_TMPFILE here";
  constexpr size_t kBytes = 6000;
  std::vector<uint8_t*> pieces;
  for (int i = 0; i < 3000; ++i) {
    uint8_t* const piece = scratch->Allocate(kBytes);
    ASSERT_NE(piece, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(piece) % 16, 0U);
    std::fill_n(piece, kBytes, static_cast<uint8_t>(i));
    pieces.push_back(piece);
  }
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto is_kept = [&](uint8_t byte) { return byte == static_cast<uint8_t>(i); };
    ASSERT_TRUE(std::all_of(pieces[i], pieces[i] + kBytes, is_kept)) << i;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ScratchMemory, RefusesWhatItCannotHold) {
  const TestFolder folder;
  EXPECT_EQ(ScratchMemory::Make(folder.path() + "/nowhere"), nullptr);
  const auto scratch = ScratchMemory::Make(folder.path());
  if (scratch == nullptr) GTEST_SKIP() << "no O_TMPFILE here";
  EXPECT_EQ(scratch->Allocate(ScratchMemory::kRegionBytes + 1), nullptr);
  EXPECT_NE(scratch->Allocate(ScratchMemory::kRegionBytes), nullptr);
}

}  // namespace
}  // namespace fletching::io
