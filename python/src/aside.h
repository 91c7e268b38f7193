// Long calls that Ctrl-C ends at once: they run on a thread of their own while the caller's waits
// and runs Python's signal handlers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <utility>

#include <nanobind/nanobind.h>

#include "fletching/status.h"

#include "python/src/errors.h"
#include "python/src/gil.h"

namespace fletching::python {

// Starts `work` on a thread; WaitForAside counts it until it is done.
void StartAside(std::function<void()> work);

// Waits until no such thread runs, or so long; whether none does. To be called before the process
// winds down: they may hold memory of Python's.
bool WaitForAside(int64_t timeout_ms);

// Returns what `work` returns or raises its error. A signal handler that raises ends the wait; the
// work goes on to its end, and nobody sees the result. `work` owns all that it uses.
// Threads: the caller holds the GIL.
template <typename T>
T RunAside(std::function<Result<T>()> work) {
  auto done = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> result = done->get_future();
  StartAside([done, work = std::move(work)]() mutable {
    Result<T> value = work();
    work = nullptr;  // lets go of what it uses before anyone hears that it is done
    done->set_value(std::move(value));
  });
  while (true) {
    {
      GilReleased released;
      if (result.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready) break;
    }
    if (PyErr_CheckSignals() != 0) throw nanobind::python_error();
  }
  return Unwrap(result.get());
}

}  // namespace fletching::python
