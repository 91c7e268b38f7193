// Durations and sizes as people write them: "30d", "8MiB".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fletching/status.h"

namespace fletching::api {

// Whole numbers with w, d, h, m, s or ms, also several ("1h30m"); a bare number is milliseconds.
// Errors: kInvalidArgument. Units: milliseconds, never negative.
Result<int64_t> ParseDurationMs(std::string_view text);

// The shortest text that reads back as the same: "30d", "90m", "1500ms".
std::string FormatDurationMs(int64_t duration_ms);

// A whole number with B, KiB, MiB, GiB, TiB (or K, M, G, T, which mean the same).
// Errors: kInvalidArgument.
Result<int64_t> ParseBytes(std::string_view text);

std::string FormatBytes(int64_t bytes);

}  // namespace fletching::api
