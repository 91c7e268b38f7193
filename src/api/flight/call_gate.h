// Lets calls in, or says why not: how many, and whose.
#pragma once

#include <memory>
#include <string_view>

#include "fletching/status.h"

#include "access/guard.h"

namespace arrow::flight {
class ServerCallContext;
class ServerMiddlewareFactory;
}  // namespace arrow::flight

namespace fletching::flight {

struct ServiceState;

// Under this name the gate has to be among the server's middleware.
inline constexpr char kGateName[] = "gate";
std::shared_ptr<arrow::flight::ServerMiddlewareFactory> MakeGate(ServiceState* state);

// What a call ("DoGet") needs of the table that it names. kUnset for one that we do not have.
access::Need NeedOf(std::string_view method);

// Who makes the call, as the gate found.
const access::Caller& CallerOf(const arrow::flight::ServerCallContext& context);

}  // namespace fletching::flight
