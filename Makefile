# The verbs. `make help` lists them; each works on a fresh clone.
#
#   JOBS=2        compile jobs; default: all cores
#   BUILD=path    another build folder, e.g. BUILD=build/mine make test-segment
#   ROOMS="base;io"  configure only these rooms, e.g. while others are half written

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory

JOBS ?= $(shell nproc)
BUILD ?= build/dev
ROOMS ?=
PY := .venv/bin/python
CTEST := ctest --output-on-failure --no-tests=error -j$(JOBS)
B ?=
F ?=
S ?= 60

# $(call configure,preset,folder) is quick when nothing changed; $(call compile,folder,targets)
configure = cmake --preset $(1) -B $(2) -DFLETCHING_ROOMS="$(ROOMS)" --log-level=WARNING >/dev/null
compile = cmake --build $(1) -j$(JOBS) $(if $(2),--target $(2))

.PHONY: build setup setup-dev demo demo-s3 test test-unit test-python lint fmt bench bench-rivals asan tsan fuzz serve \
        wheel test-wheel test-torch docs weigh mutants crash soak headers clean help

build: setup-dev ## incremental dev build of everything
	@$(call configure,dev,$(BUILD))
	@$(call compile,$(BUILD))

setup: ## Debian packages, .venv with pinned wheels: what building and the demo need
	@tools/setup.sh build

setup-dev:
	@tools/setup.sh dev

demo: setup ## real data in, features out: builds, loads, serves, reads back and checks every value
	@$(call configure,release,build/release)
	@$(call compile,build/release,fletchingd _native)
	@FLETCHINGD=$(CURDIR)/build/release/bin/fletchingd PYTHONPATH=$(CURDIR)/build/release/python \
	  $(PY) demo/flights.py

demo-s3: setup-dev ## a node from S3 and a YAML file: loads, swaps, is killed, comes back from an empty disk
	@$(call configure,release,build/release)
	@$(call compile,build/release,fletchingd _native)
	@FLETCHINGD=$(CURDIR)/build/release/bin/fletchingd \
	  PYTHONPATH=$(CURDIR)/build/release/python:$(CURDIR)/tests/s3 $(PY) demo/stateless.py

test: build test-unit test-python ## unit tests, smoke runs of fuzzers and benchmarks, pytest

test-unit: build
	@cd $(BUILD) && $(CTEST)

test-python: build
	@FLETCHINGD=$(CURDIR)/$(BUILD)/bin/fletchingd PYTHONPATH=$(CURDIR)/$(BUILD)/python \
	  $(PY) -m pytest -q $(PYTEST_FLAGS)

test-%: setup-dev ## one room: make test-segment, make test-api/http
	@$(call configure,dev,$(BUILD))
	@$(call compile,$(BUILD),fletching_$(subst /,_,$*)_test)
	@$(BUILD)/bin/fletching_$(subst /,_,$*)_test --gtest_brief=1 $(GTEST_FLAGS)

lint: setup-dev ## formatting, layers, budgets, spelling, Python style
	@tools/lint.sh

fmt: setup-dev ## put every source into its format
	@tools/lint.sh --fix

bench: ## B=read: measure in the release build; all benchmarks without B
	@tools/setup.sh bench
	@$(call configure,release,build/release)
	@$(call compile,build/release)
	@tools/bench.sh build/release "$(B)"

# Rivals are no part of any other build. Docs are written by a whole run of the default size.
bench-rivals: setup-dev ## 30 minutes: ours beside Redis, PostgreSQL, ...; ONLY=redis_blobs ROWS= SMOKE=1
	@tools/setup.sh rivals
	@cmake --preset release -B build/release -DFLETCHING_RIVALS=ON --log-level=WARNING >/dev/null
	@$(call compile,build/release,fletchingd _native wire_client flight_client $(RIVALS_PROGRAM))
	@FLETCHINGD=$(CURDIR)/build/release/bin/fletchingd PYTHONPATH=$(CURDIR)/build/release/python \
	  FLETCHING_BENCH_DIR=$(CURDIR)/build/release/bench .venv-rivals/bin/python bench/run_rivals.py \
	  $(if $(ONLY),--only=$(ONLY)) $(if $(ROWS),--rows=$(ROWS)) $(if $(SMOKE),--smoke) \
	  $(if $(ONLY)$(ROWS)$(SMOKE),,--write-docs) $(ARGS)
RIVALS_PROGRAM := $(if $(wildcard bench/rivals/embedded_rivals.cc),embedded_rivals)

asan: setup-dev ## unit tests and fuzz smoke runs: addresses and undefined behaviour
	@$(call configure,asan,build/asan)
	@$(call compile,build/asan,fletching_tests fletching_fuzzers)
	@cd build/asan && ASAN_OPTIONS=$(ASAN) UBSAN_OPTIONS=print_stacktrace=1 $(CTEST) -L 'unit|fuzz_smoke'
ASAN := detect_stack_use_after_return=1:strict_string_checks=1

tsan: setup-dev ## unit tests: data races
	@$(call configure,tsan,build/tsan)
	@$(call compile,build/tsan,fletching_tests)
	@cd build/tsan && TSAN_OPTIONS=$(TSAN) $(CTEST) -L unit
# The wheel's libraries are not instrumented, so what they do among themselves cannot be judged.
TSAN := ignore_noninstrumented_modules=1:halt_on_error=1:second_deadlock_stack=1:atexit_sleep_ms=50

fuzz: ## F=segment_reader S=60: one fuzzer for S seconds; every fuzzer without F
	@tools/setup.sh fuzz
	@$(call configure,fuzz,build/fuzz)
	@$(call compile,build/fuzz,$(if $(F),$(F)_fuzz,fletching_fuzzers))
	@tools/fuzz.sh build/fuzz "$(F)" $(S)

serve: setup ## run fletchingd on ./data; ARGS="--http 127.0.0.1:8080" and so on
	@$(call configure,release,build/release)
	@$(call compile,build/release,fletchingd)
	@build/release/bin/fletchingd $(or $(ARGS),--data-dir data)

crash: setup-dev ## CYCLES=200: kill -9 under load, reopen, compare; SEED= repeats one
	@$(call configure,dev,$(BUILD))
	@$(call compile,$(BUILD),fletching_crash_test)
	@FLETCHING_CRASH_CYCLES=$(or $(CYCLES),200) $(if $(SEED),FLETCHING_CRASH_SEED=$(SEED)) \
	  $(BUILD)/bin/fletching_crash_test --gtest_brief=1

soak: build ## S=180: eight readers beside a writer, killed again and again; SEED= repeats the kills
	@PYTHONPATH=$(CURDIR)/$(BUILD)/python FLETCHING_SOAK_S=$(S) FLETCHING_SOAK_SEED=$(or $(SEED),0) \
	  $(PY) -m pytest -q -s --timeout=0 python/tests/test_following_soak.py

mutants: setup-dev ## seeded faults, each of which a test must catch; M=name for one
	@$(PY) tools/mutants.py --jobs $(JOBS) $(M)

wheel: setup-dev ## dist/*.whl, with what it needs inside but for the pyarrow it depends on
	@tools/wheel.sh Release dist

# The dev build's objects are in the compiler cache after `make test`, so its wheel takes seconds
# where the release one takes minutes; packing and repairing are the same.
test-wheel: setup-dev ## a wheel into an empty environment, where the README has to work; WHEEL=path
ifndef WHEEL
	@tools/wheel.sh Dev build/wheel-dev/dist
endif
	@$(PY) tools/try_wheel.py $(or $(WHEEL),build/wheel-dev/dist/*.whl)

test-torch: build ## results in PyTorch, databases in a DataLoader; installs five gigabytes once
	@tools/setup.sh torch
	@FLETCHINGD=$(CURDIR)/$(BUILD)/bin/fletchingd PYTHONPATH=$(CURDIR)/$(BUILD)/python \
	  .venv-torch/bin/python -m pytest -q python/tests/test_torch.py

docs: build ## build/docs: the API reference, from the docstrings
	@PYTHONPATH=$(CURDIR)/$(BUILD)/python $(PY) tools/build_docs.py

weigh: setup-dev ## the heaviest sources after preprocessing
	@$(call configure,dev,$(BUILD))
	@$(PY) tools/weigh.py $(BUILD)

headers: setup-dev ## compile every header alone: none may lean on what its users include
	@$(call configure,dev,$(BUILD))
	@$(call compile,$(BUILD),all_verify_interface_header_sets)

clean: ## remove build results; .venv stays
	@rm -rf build dist

help: ## this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | \
	  awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'
