// The one table from our error codes to what each door answers. docs/protocol.md shows the same
// table, and a test compares the two.
//
// Does not know which route was asked: the few statuses that belong to a route alone (415, 422,
// 405 ...) are given by its handler.
#pragma once

#include <span>
#include <string_view>

#include "fletching/fwd.h"
#include "fletching/status.h"

namespace fletching::api {

struct ErrorAnswer {
  ErrorCode code;
  int http_status;
  std::string_view flight;  // name of the Flight or gRPC status
  std::string_view python;  // name of the Python exception
};

// Every code once.
std::span<const ErrorAnswer> ErrorAnswers();

const ErrorAnswer& AnswerFor(ErrorCode code);

// Must not be called with an OK status.
int HttpStatusOf(const Status& status);

}  // namespace fletching::api
