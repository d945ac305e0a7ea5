# Compiler and linker settings that every target shares.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # Paths relative to the checkout, so that a second clone finds the first one's objects.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
                                  CCACHE_SLOPPINESS=time_macros,include_file_mtime ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O3")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")   # for the sanitizers: two thirds of the time to compile

# The numbers' contract (docs/numerics.md): a fused multiply-add only where the source says so, and no -ffast-math.
# Square roots and divisions need not set errno, which lets them be vectorised and changes no value.
add_compile_options(-ffp-contract=off -fno-math-errno)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion)
if(TRANCHE_WERROR)
  add_compile_options(-Werror)
endif()

if(TRANCHE_SANITIZE STREQUAL "address")
  # Not what the address checks find by themselves, at a third of the time to compile.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize=null,object-size,vptr -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(TRANCHE_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
elseif(TRANCHE_SANITIZE)
  message(FATAL_ERROR "TRANCHE_SANITIZE is '${TRANCHE_SANITIZE}': expected address or thread")
endif()

include_directories(${CMAKE_SOURCE_DIR})   # every include is written from the root: "runtime/base/error.h"
