# fletching_python_module(<name> SOURCES ... [DEPENDS rooms...] [PRIVATE targets...])
# The native module of the Python package. In a build tree, build/<preset>/python/fletching/ holds
# the module and links to the .py files of python/fletching/, so PYTHONPATH=build/<preset>/python
# imports the package as it stands in the sources. In the wheel it finds Arrow in ../pyarrow.

execute_process(
  COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no nanobind. Run `make setup`.")
endif()
find_package(nanobind CONFIG REQUIRED)

function(fletching_python_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;PRIVATE")
  fletching_room_targets(rooms ${arg_DEPENDS})
  nanobind_add_module(${name} NB_STATIC NOMINSIZE NB_SUPPRESS_WARNINGS ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${name} PRIVATE fletching_warnings ${rooms} ${arg_PRIVATE} Arrow::arrow)
  # Only PyInit is for others: what the rooms and Boost define stays out of sight of other modules.
  target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL)
  set(package "${PROJECT_BINARY_DIR}/python/fletching")
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${package}"
                                           INSTALL_RPATH "$ORIGIN/../pyarrow")
  file(GLOB parts CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/fletching/*")
  file(MAKE_DIRECTORY "${package}")
  foreach(part IN LISTS parts)
    get_filename_component(leaf "${part}" NAME)
    if(NOT leaf MATCHES "\\.so$|^__pycache__$|^bin$")
      file(CREATE_LINK "${part}" "${package}/${leaf}" SYMBOLIC)
    endif()
  endforeach()
  install(TARGETS ${name} LIBRARY DESTINATION fletching)
endfunction()
