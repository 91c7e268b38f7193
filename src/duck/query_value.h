// A parameter of a query.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace fletching::duck {

struct QueryValue;
using QueryList = std::vector<QueryValue>;

// Null, a scalar, or a list, whose members are of one kind or null.
struct QueryValue {
  std::variant<std::monostate, bool, int64_t, double, std::string, QueryList> value;
};

// By name as in $name, or by place: "1" for $1 and the first ?.
using QueryParameters = std::vector<std::pair<std::string, QueryValue>>;

}  // namespace fletching::duck
