# The commands of daily work. Each first installs the Debian packages it needs and lacks (.ci/packages);
# DEPS=no leaves that out.
JOBS ?= $(shell nproc)
FAST := 'slow|bench'
deps = $(if $(filter no,$(DEPS)),@true,@bash .ci/deps)

.PHONY: deps build demo test bench memory format lint sanitize

deps:
	$(deps)

build:
	$(deps) build
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target tranche

# Trains a small GPT on the Bible, or on TEXT=file, in runs/demo.
demo:
	$(deps) build demo
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target tranche
	@bash configs/demo.sh "$(TEXT)"

test:
	$(deps) build test
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS)
	ctest --preset release --parallel $(JOBS) --label-exclude $(FAST)

# What the kernels reach of this machine's ceilings. docs/performance.md has the commands that take longer.
bench:
	$(deps) build bench
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target tranche ceilings kernels
	@build/release/tests/bench/kernels

# Bytes on each rank at every stage: derived, planned, measured.
memory:
	$(deps) build
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target memory_table
	@build/release/tests/bench/memory_table

# Address, leak and undefined-behaviour checks; then races, with ranks as threads (MPI itself is not instrumented).
sanitize:
	$(deps) build test
	cmake --preset asan
	cmake --build --preset asan --parallel $(JOBS)
	ctest --preset asan --parallel $(JOBS) --label-exclude $(FAST)'|architecture'
	cmake --preset tsan
	cmake --build --preset tsan --parallel $(JOBS)
	ctest --preset tsan --parallel $(JOBS) --label-exclude $(FAST)'|mpi|architecture'

format:
	$(deps) format
	git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format -i

lint:
	$(deps) build lint
	cmake --preset release
	@bash .ci/lint
