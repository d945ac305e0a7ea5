# Third-party libraries, all from Debian; `make deps` installs them. Each is used in one room, which links it.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)                 # base
find_package(fmt REQUIRED)                                # base
find_package(spdlog REQUIRED)                             # base
find_package(OpenSSL REQUIRED COMPONENTS Crypto)          # base: SHA-256
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)              # base: file checksums
find_package(oneDNN REQUIRED)                             # ops
find_package(OpenMP REQUIRED COMPONENTS CXX)              # ops: only to tell oneDNN, which uses it, to use one thread
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS C)                   # comm
find_package(HDF5 REQUIRED COMPONENTS C)                  # hdf5
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)              # data
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)   # data
pkg_check_modules(liburing REQUIRED IMPORTED_TARGET liburing)            # offload
pkg_check_modules(lapacke REQUIRED IMPORTED_TARGET lapacke)              # compress: singular values
find_package(CLI11 REQUIRED)                              # launcher
find_package(Boost 1.74 REQUIRED)                         # launcher: Asio
find_package(GTest REQUIRED)                              # tests
