// "Did you mean ...": the known name closest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace fletching {

// The closest of `known` by edit distance (case ignored), or empty when none is close: more than a
// third of the letters would have to change. Lifetime: the answer points into `known`.
std::string_view NearestName(std::string_view name, std::span<const std::string_view> known);

// " (did you mean 'float32'?)", or nothing. For the end of an error message.
std::string DidYouMean(std::string_view name, std::span<const std::string_view> known);

}  // namespace fletching
