#include "base/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace fletching {
namespace {

char Lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

// Levenshtein's distance with one row of memory; a swap of neighbours counts as two edits.
size_t EditDistance(std::string_view from, std::string_view to) {
  std::vector<size_t> row(to.size() + 1);
  for (size_t j = 0; j <= to.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t above = row[j];
      const size_t change = Lower(from[i - 1]) == Lower(to[j - 1]) ? 0 : 1;
      row[j] = std::min({row[j - 1] + 1, above + 1, diagonal + change});
      diagonal = above;
    }
  }
  return row[to.size()];
}

}  // namespace

std::string_view NearestName(std::string_view name, std::span<const std::string_view> known) {
  // The name comes from outside: a megabyte of it resembles nothing and must not cost a second.
  constexpr size_t kNameBytesMax = 256;
  if (name.size() > kNameBytesMax) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (std::string_view candidate : known) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view name, std::span<const std::string_view> known) {
  const std::string_view nearest = NearestName(name, known);
  if (nearest.empty()) return {};
  return std::string(" (did you mean '").append(nearest).append("'?)");
}

}  // namespace fletching
