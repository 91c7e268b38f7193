#include "python/src/gil.h"

#include <atomic>
#include <chrono>
#include <pthread.h>
#include <thread>
#include <unistd.h>

namespace nb = nanobind;

namespace fletching::python {
namespace {

std::atomic<bool> is_exiting = false;
std::atomic<int> taking_count = 0;  // threads between the check below and having the GIL
std::atomic<pthread_t> main_thread;

void BeginExit() {
  main_thread = ::pthread_self();  // whoever winds the interpreter down
  is_exiting = true;
  PyThreadState* state = PyEval_SaveThread();
  while (taking_count.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  PyEval_RestoreThread(state);
}

// To be called before the GIL is asked for; the caller counts taking_count down once it has it.
void StopIfExiting() {
  ++taking_count;
  if (!is_exiting || IsMainThread()) return;
  --taking_count;
  while (true) ::pause();  // until the process is gone
}

}  // namespace

GilReleased::GilReleased() : state_(PyEval_SaveThread()) {}

GilReleased::~GilReleased() {
  StopIfExiting();
  PyEval_RestoreThread(state_);
  --taking_count;
}

GilTaken::GilTaken() {
  const bool has_it = PyGILState_Check() != 0;
  if (!has_it) StopIfExiting();
  state_ = PyGILState_Ensure();
  if (!has_it) --taking_count;
}

bool IsMainThread() { return ::pthread_equal(main_thread.load(), ::pthread_self()) != 0; }

void BindGil(nb::module_& module) {
  const nb::object thread = nb::module_::import_("threading").attr("main_thread")();
  main_thread = nb::cast<pthread_t>(thread.attr("ident"));
  ::pthread_atfork(nullptr, nullptr, [] { main_thread = ::pthread_self(); });
  module.def("begin_exit", &BeginExit, "What the exit handler calls.");
  nb::module_::import_("atexit").attr("register")(module.attr("begin_exit"));
}

}  // namespace fletching::python
