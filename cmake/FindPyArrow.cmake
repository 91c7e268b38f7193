# Arrow C++ as the pyarrow wheel ships it: headers, and libraries named lib*.so.2600.
# Debian has no Arrow, and this copy is the one a Python user has loaded already.
#
# Makes Arrow::arrow, Arrow::parquet and so on, linked by full path. The version must be the one
# pinned in requirements-build.txt, because the libraries promise no ABI between releases.
#
# Sets PyArrow_VERSION and PyArrow_LIBRARY_DIR.

file(STRINGS "${PROJECT_SOURCE_DIR}/requirements-build.txt" pin REGEX "^pyarrow==")
string(REGEX MATCH "[0-9][0-9.]*" PyArrow_PINNED "${pin}")

# Asking the interpreter takes half a second, so the answer is kept until the interpreter, the pin
# or the installed wheel (seen by its dist-info folder) changes.
set(question "${Python_EXECUTABLE} ${PyArrow_PINNED}")
if(NOT "${question}" STREQUAL "${PyArrow_QUESTION}" OR
   NOT EXISTS "${PyArrow_LIBRARY_DIR}/../pyarrow-${PyArrow_PINNED}.dist-info")
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
      "import pyarrow as p; print(p.__version__, p.get_include(), p.get_library_dirs()[0], sep=';')"
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_VARIABLE why)
  if(failed)
    message(FATAL_ERROR "${Python_EXECUTABLE} cannot import pyarrow. Run `make setup`.\n${why}")
  endif()
  list(GET answer 0 found_version)
  if(NOT found_version VERSION_EQUAL PyArrow_PINNED)
    message(FATAL_ERROR
      "pyarrow ${found_version} is installed for ${Python_EXECUTABLE}, but requirements-build.txt "
      "pins ${PyArrow_PINNED}. Fix: run `make setup`, or "
      "`${Python_EXECUTABLE} -m pip install pyarrow==${PyArrow_PINNED}`.")
  endif()
  list(GET answer 1 include_dir)
  list(GET answer 2 library_dir)
  set(PyArrow_INCLUDE_DIR "${include_dir}" CACHE INTERNAL "")
  set(PyArrow_LIBRARY_DIR "${library_dir}" CACHE INTERNAL "")
  set(PyArrow_VERSION "${found_version}" CACHE INTERNAL "")
  set(PyArrow_QUESTION "${question}" CACHE INTERNAL "")
endif()

# Wheel 26.0.1 carries libraries named .so.2600: the major version times a hundred.
string(REGEX MATCH "^[0-9]+" major "${PyArrow_VERSION}")
math(EXPR so_version "${major} * 100")

# pyarrow_library(<target> <library> [<target it needs>...])
function(pyarrow_library name library)
  if(TARGET Arrow::${name})
    return()
  endif()
  set(file "${PyArrow_LIBRARY_DIR}/lib${library}.so.${so_version}")
  if(NOT EXISTS "${file}")
    message(FATAL_ERROR "${file} is missing: the pyarrow wheel is damaged. Fix: "
                        "`${Python_EXECUTABLE} -m pip install --force-reinstall pyarrow==${PyArrow_PINNED}`.")
  endif()
  add_library(Arrow::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(Arrow::${name} PROPERTIES
    IMPORTED_LOCATION "${file}"
    IMPORTED_SONAME "lib${library}.so.${so_version}"
    INTERFACE_INCLUDE_DIRECTORIES "${PyArrow_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${ARGN}")
endfunction()

pyarrow_library(arrow arrow)
pyarrow_library(parquet parquet Arrow::arrow)
pyarrow_library(compute arrow_compute Arrow::arrow)
pyarrow_library(acero arrow_acero "Arrow::compute;Arrow::arrow")
pyarrow_library(dataset arrow_dataset "Arrow::acero;Arrow::parquet;Arrow::arrow")
pyarrow_library(s3 arrow_s3 Arrow::arrow)
pyarrow_library(flight arrow_flight Arrow::arrow)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(PyArrow
  REQUIRED_VARS PyArrow_LIBRARY_DIR PyArrow_INCLUDE_DIR VERSION_VAR PyArrow_VERSION)
