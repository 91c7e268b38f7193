// The description of this interface: openapi.json, compiled in. A test compares it with Routes()
// both ways, and another sends what it promises to a running server.
#pragma once

#include <string_view>

namespace fletching::http {

// Lifetime: static.
std::string_view OpenApiText();

}  // namespace fletching::http
