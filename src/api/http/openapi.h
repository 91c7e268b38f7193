// The description of this interface: openapi.json, compiled in. A test compares it with Routes()
// both ways, and another sends what it promises to a running server.
#pragma once

#include <string_view>

namespace fletching::http {

// Lifetime: static. `with_keys`: of a server that asks for keys; of another one the document says
// that it asks for none.
std::string_view OpenApiText(bool with_keys = true);

}  // namespace fletching::http
