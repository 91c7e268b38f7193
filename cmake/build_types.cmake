# Build types and where their results go. The presets choose among these.
#
#   Dev      quick to compile, checks on       Release  what ships; plain x86-64, kernels pick
#   Asan     address + undefined behaviour              their instructions at run time
#   Tsan     data races                        Fuzz     libFuzzer + address, clang only

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)
set(CMAKE_VERIFY_INTERFACE_HEADER_SETS ON)  # `make headers` compiles each header alone
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Dev, Release, Asan, Tsan or Fuzz" FORCE)
endif()

set(checked "-D_GLIBCXX_ASSERTIONS -DFLETCHING_DEV")
set(CMAKE_CXX_FLAGS_DEV "-Og -g1 ${checked}")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_ASAN
    "-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all ${checked}")
set(CMAKE_CXX_FLAGS_TSAN "-O1 -g1 -fno-omit-frame-pointer -fsanitize=thread ${checked}")
set(CMAKE_CXX_FLAGS_FUZZ
    "-O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address ${checked}")
foreach(type ASAN TSAN FUZZ DEV)
  set(CMAKE_C_FLAGS_${type} "${CMAKE_CXX_FLAGS_${type}}")
  set(CMAKE_EXE_LINKER_FLAGS_${type} "")
  set(CMAKE_SHARED_LINKER_FLAGS_${type} "")
  set(CMAKE_MODULE_LINKER_FLAGS_${type} "")
endforeach()
if(FLETCHING_FUZZ AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "FLETCHING_FUZZ needs clang: use `cmake --preset fuzz`")
endif()

# Compiler cache and quick linker, each used where it is installed.
find_program(FLETCHING_CCACHE ccache)
if(FLETCHING_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Relative paths and no hashed folder: a second clone or build folder finds the same entries.
  set(launcher env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${FLETCHING_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
find_program(FLETCHING_MOLD mold)
if(FLETCHING_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Linking is the hungry step, so only one at a time.
set_property(GLOBAL PROPERTY JOB_POOLS link_pool=1)
set(CMAKE_JOB_POOL_LINK link_pool)
