// How Python ends a long call of the engine or to a server: by Ctrl-C, or by an error of a
// callback.
#pragma once

#include <optional>
#include <utility>

#include <nanobind/nanobind.h>

#include "fletching/status.h"

#include "python/src/gil.h"

namespace fletching::python {

// What Python raised in the middle of a call, until the call has wound down. Threads: one at a
// time.
class Interrupt {
 public:
  // For callbacks of C++: takes the GIL, runs signal handlers and then `then` under it.
  template <typename Then>
  Status Check(const char* consequence, const Then& then) {
    GilTaken acquired;
    try {
      if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
      then();
      return Status::OK();
    } catch (nanobind::python_error& error) {
      error_.emplace(std::move(error));
      return Cancelled(consequence);
    }
  }
  // Where nothing but a signal can end the call; their handlers run on the main thread alone.
  Status Check() {
    if (!IsMainThread()) return Status::OK();
    return Check("interrupted", [] {});
  }

  // After the call: what Python wanted to raise comes before the call's own error.
  void RaiseIfFailed(const Status& status) {
    if (error_.has_value() && !status.ok()) Raise();
  }
  void Raise() {
    if (!error_.has_value()) return;
    nanobind::python_error error = std::move(*error_);
    error_.reset();
    error.restore();
    throw nanobind::python_error();
  }

 private:
  std::optional<nanobind::python_error> error_;
};

}  // namespace fletching::python
