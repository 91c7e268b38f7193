// Letting other threads of Python run, so that a process can also end meanwhile.
//
// CPython ends a thread that asks for the GIL after the interpreter has begun to wind down, and it
// does so by unwinding its stack, which no C++ frame survives: a daemon thread in the middle of a
// read would abort the process at its exit. So from the exit handler on, threads other than the one
// that exits stop here for good instead of asking.
#pragma once

#include <nanobind/nanobind.h>

namespace fletching::python {

// Releases the GIL for the life of this object. Threads: the caller holds the GIL.
class GilReleased {
 public:
  GilReleased();
  ~GilReleased();
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

// Takes the GIL for the life of this object, on any thread.
class GilTaken {
 public:
  GilTaken();
  ~GilTaken() { PyGILState_Release(state_); }
  GilTaken(const GilTaken&) = delete;
  GilTaken& operator=(const GilTaken&) = delete;

 private:
  PyGILState_STATE state_;
};

// Whether this thread is the one on which Python runs signal handlers.
bool IsMainThread();

// Registers the exit handler. Once, when the module is loaded.
void BindGil(nanobind::module_& module);

}  // namespace fletching::python
