# The commands of daily work. Each first installs the Debian packages it needs and lacks (.ci/packages);
# DEPS=no leaves that out.
JOBS ?= $(shell nproc)
FAST := 'slow|bench'
# mpirun as root, on fewer cores than ranks, and beside other programs.
mpirun = OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 \
         OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none mpirun
deps = $(if $(filter no,$(DEPS)),@true,@bash .ci/deps)

.PHONY: deps build demo test bench memory format lint sanitize fuzz cuda

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

# What kernels, offload and collectives reach of this machine's ceilings, measured beside them. docs/performance.md has the
# commands that take longer.
bench:
	$(deps) build bench
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS) --target tranche ceilings kernels bench_collectives bench_offload
	@build/release/tests/bench/kernels
	@build/release/tests/bench/bench_offload
	@$(mpirun) -np 2 build/release/tests/bench/bench_collectives

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
	ctest --preset asan --parallel $(JOBS) --label-exclude $(FAST)'|architecture|timed'
	cmake --preset tsan
	cmake --build --preset tsan --parallel $(JOBS)
	ctest --preset tsan --parallel $(JOBS) --label-exclude $(FAST)'|mpi|races_elsewhere|architecture|timed'

# What a supervisor hears, from ranks and from browsers, as anybody could send it: SECONDS of each, both at once.
fuzz: SECONDS ?= 60
fuzz:
	$(deps) build fuzz
	cmake -S tests/fuzz -B build/fuzz -G Ninja -D CMAKE_CXX_COMPILER=clang++-16
	cmake --build build/fuzz --parallel $(JOBS)
	@bash tests/fuzz/run.sh $(SECONDS)

# The CUDA kernels by nvcc and by clang, and what nvcc says of their registers. Needs NVIDIA's toolkit, and no GPU.
cuda:
	$(deps) build cuda
	cmake --preset cuda -D TRANCHE_CUDA_ARCHITECTURES=80
	cmake --build --preset cuda --parallel $(JOBS) --target test_cuda_build test_gpu_ops test_gpu_attention test_gpu_linear
	ctest --preset cuda --tests-regex test_cuda_build

format:
	$(deps) format
	git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format -i

lint:
	$(deps) build lint
	cmake --preset release
	@bash .ci/lint
