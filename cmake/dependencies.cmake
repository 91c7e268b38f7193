# Every library of others, as an imported target, found once. docs/dependencies.md says why each.
#
#   Arrow::arrow  Arrow::parquet  Arrow::compute  Arrow::s3  Arrow::flight  Arrow::dataset
#   Boost::headers  fletching_boost_json         1.81
#   XXHash::xxhash  Uring::uring  Pugixml::pugixml      static
#   fletching_loaded_headers                     of libcurl and libcrypto
#   fmt::fmt  spdlog::spdlog  yaml-cpp  CLI11::CLI11  prometheus-cpp::core
#   GTest::gtest  GTest::gtest_main

# The project's own virtual environment, unless a wheel build brought its interpreter along.
if(NOT Python_EXECUTABLE AND NOT SKBUILD)
  set(Python_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  if(NOT EXISTS "${Python_EXECUTABLE}")
    message(FATAL_ERROR "There is no .venv here yet. Run `make setup` first, "
                        "or pass -DPython_EXECUTABLE=/path/to/python with pyarrow installed.")
  endif()
endif()
set(python_parts Interpreter)
if(FLETCHING_PYTHON)
  list(APPEND python_parts Development.Module)
endif()
find_package(Python 3.11 REQUIRED COMPONENTS ${python_parts})
find_package(PyArrow REQUIRED)
find_package(Threads REQUIRED)

find_package(Boost 1.81 REQUIRED)
# Compiled here from its headers: Debian's archive is not position-independent, so it cannot become
# part of the Python module, and its shared library would have to travel in the wheel.
set(boost_json_source "${PROJECT_BINARY_DIR}/boost_json.cc")
file(CONFIGURE OUTPUT "${boost_json_source}" CONTENT "#include <boost/json/src.hpp>\n")
add_library(fletching_boost_json STATIC "${boost_json_source}")
target_link_libraries(fletching_boost_json PUBLIC Boost::headers)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
if(FLETCHING_TESTS)
  find_package(GTest REQUIRED)
endif()

# fletching_plain_library(<target> <header> <archive>): for packages without CMake files.
function(fletching_plain_library target header archive)
  string(MAKE_C_IDENTIFIER "${target}" id)
  find_path(${id}_INCLUDE ${header} REQUIRED)
  find_library(${id}_LIBRARY ${archive} REQUIRED)
  mark_as_advanced(${id}_INCLUDE ${id}_LIBRARY)
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION "${${id}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${${id}_INCLUDE}")
endfunction()
fletching_plain_library(XXHash::xxhash xxhash.h libxxhash.a)
fletching_plain_library(Uring::uring liburing.h liburing.a)
fletching_plain_library(Pugixml::pugixml pugixml.hpp libpugixml.a)

# Headers alone: src/store loads these libraries of the system itself, apart from the wheel's.
find_path(FLETCHING_CURL_INCLUDE curl/curl.h REQUIRED)
find_path(FLETCHING_OPENSSL_INCLUDE openssl/evp.h REQUIRED)
mark_as_advanced(FLETCHING_CURL_INCLUDE FLETCHING_OPENSSL_INCLUDE)
add_library(fletching_loaded_headers INTERFACE)
target_include_directories(fletching_loaded_headers SYSTEM INTERFACE "${FLETCHING_CURL_INCLUDE}"
                                                                     "${FLETCHING_OPENSSL_INCLUDE}")
