# fletching_module(<room> ...): everything about one room, in the room's own CMakeLists.txt.
#
#   fletching_module(segment
#     DEPENDS format io base               rooms it may include; tools/check_layers.py reads this
#     PRIVATE XXHash::xxhash               libraries of others, used in .cc files only
#     SOURCES segment_writer.cc key_index.cc
#     HEADERS segment_writer.h key_index.h
#     TESTS   key_index_test.cc            one program: fletching_segment_test, label unit
#     FUZZ    segment_reader_fuzz.cc       one program each, label fuzz_smoke
#     BENCH   key_index_bench.cc)          one program each, run with --smoke, label bench_smoke
#
# `DEPENDS face` stands for the doors of the public face (fletching/engine.h): what a room above
# the engine names instead of the engine itself. Arrow::arrow comes with every room, because
# Status and Result are Arrow's.
# A nested room is named by its path, api/http; its library is fletching_api_http.
# Also here: fletching_program() for what is installed, fletching_test() for tests across rooms,
# fletching_bench() and fletching_fuzz() for programs outside a room.

# All unit test programs, all fuzz programs: what the sanitizer verbs build.
add_custom_target(fletching_tests)
add_custom_target(fletching_fuzzers)

function(fletching_add_room folder)
  string(REGEX REPLACE "^src/" "" room "${folder}")
  if(FLETCHING_ROOMS AND NOT room IN_LIST FLETCHING_ROOMS)
    return()
  endif()
  if(EXISTS "${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt")
    add_subdirectory(${folder})
  endif()
endfunction()

# Turns room names into library names; a room that is not in this tree is reported, not fatal,
# so that one half-written room never keeps the others from being built.
function(fletching_room_targets out)
  set(targets "")
  foreach(room IN LISTS ARGN)
    string(REPLACE "/" "_" id "${room}")
    if(TARGET fletching_${id})
      list(APPEND targets fletching_${id})
    else()
      message(WARNING "${CMAKE_CURRENT_SOURCE_DIR} depends on room '${room}', which is not here")
    endif()
  endforeach()
  set(${out} "${targets}" PARENT_SCOPE)
endfunction()

function(fletching_module room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;PRIVATE;SOURCES;HEADERS;TESTS;FUZZ;BENCH")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "fletching_module(${room}): do not know ${arg_UNPARSED_ARGUMENTS}")
  endif()
  string(REPLACE "/" "_" id "${room}")
  set(target fletching_${id})
  fletching_room_targets(rooms ${arg_DEPENDS})

  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/src"
                                    FILES ${arg_HEADERS})
    target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}/include"
                                                "${PROJECT_SOURCE_DIR}/src")
    target_link_libraries(${target} PUBLIC ${rooms} Arrow::arrow
                                    PRIVATE ${arg_PRIVATE} Threads::Threads
                                            fletching_strict_warnings)
  else()  # headers alone
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${PROJECT_SOURCE_DIR}/include"
                                                   "${PROJECT_SOURCE_DIR}/src")
    target_link_libraries(${target} INTERFACE ${rooms} Arrow::arrow Threads::Threads)
  endif()

  if(NOT FLETCHING_TESTS)
    return()
  endif()
  if(arg_TESTS)
    fletching_test(${target}_test SOURCES ${arg_TESTS} LINK ${target} ${arg_PRIVATE})
  endif()
  foreach(source IN LISTS arg_FUZZ)
    fletching_fuzz(${source} LINK ${target} ${arg_PRIVATE})
  endforeach()
  foreach(source IN LISTS arg_BENCH)
    fletching_bench(${source} LINK ${target} ${arg_PRIVATE})
  endforeach()
endfunction()

# fletching_test(<program> SOURCES ... [DEPENDS rooms...] [LINK targets...] [TIMEOUT seconds])
# One GoogleTest program, registered as one test with the label unit. It runs in a folder of its
# own and finds the source tree by FLETCHING_SOURCE_DIR.
function(fletching_test program)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "SOURCES;DEPENDS;LINK")
  if(NOT FLETCHING_TESTS OR FLETCHING_FUZZ)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
    if(CMAKE_BUILD_TYPE MATCHES "san$")
      set(arg_TIMEOUT 1800)  # the sanitizers make some programs fifteen times slower
    endif()
  endif()
  fletching_room_targets(rooms ${arg_DEPENDS})
  add_executable(${program} ${arg_SOURCES})
  target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${program} PRIVATE fletching_warnings ${rooms} ${arg_LINK} Arrow::arrow
                                           GTest::gtest GTest::gtest_main Threads::Threads)
  target_compile_definitions(${program} PRIVATE FLETCHING_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_dependencies(fletching_tests ${program})
  add_test(NAME ${program} COMMAND ${program} --gtest_brief=1)
  set_tests_properties(${program} PROPERTIES LABELS unit TIMEOUT ${arg_TIMEOUT})
endfunction()

# fletching_fuzz(<x>_fuzz.cc [DEPENDS rooms...] [LINK targets...])
# The source defines LLVMFuzzerTestOneInput and nothing else. With FLETCHING_FUZZ it becomes a
# libFuzzer program; otherwise a smoke run over tests/corpus/<x>/ and 2,000 mutations of it.
function(fletching_fuzz source)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LINK")
  if(NOT FLETCHING_TESTS)
    return()
  endif()
  get_filename_component(program "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" subject "${program}")
  fletching_room_targets(rooms ${arg_DEPENDS})
  add_executable(${program} ${source})
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
  target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${program} PRIVATE fletching_warnings ${rooms} ${arg_LINK} Arrow::arrow
                                           Threads::Threads)
  add_dependencies(fletching_fuzzers ${program})
  if(FLETCHING_FUZZ)
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  if(NOT TARGET fletching_fuzz_smoke)
    add_library(fletching_fuzz_smoke OBJECT "${PROJECT_SOURCE_DIR}/tools/fuzz_smoke_main.cc")
    target_link_libraries(fletching_fuzz_smoke PRIVATE fletching_warnings)
  endif()
  target_link_libraries(${program} PRIVATE fletching_fuzz_smoke)
  add_test(NAME ${program} COMMAND ${program} "${PROJECT_SOURCE_DIR}/tests/corpus/${subject}")
  set_tests_properties(${program} PROPERTIES LABELS fuzz_smoke TIMEOUT 600)
endfunction()

# fletching_bench(<x>_bench.cc [SOURCES more...] [DEPENDS rooms...] [LINK targets...])
# The program measures; with --smoke it does the same on tiny sizes in under two seconds.
function(fletching_bench source)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;LINK")
  if(NOT FLETCHING_TESTS OR FLETCHING_FUZZ)
    return()
  endif()
  get_filename_component(program "${source}" NAME_WE)
  fletching_room_targets(rooms ${arg_DEPENDS})
  add_executable(${program} ${source} ${arg_SOURCES})
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bench")
  target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${program} PRIVATE fletching_warnings ${rooms} ${arg_LINK} Arrow::arrow
                                           Threads::Threads)
  add_test(NAME ${program} COMMAND ${program} --smoke)
  set_tests_properties(${program} PROPERTIES LABELS bench_smoke TIMEOUT 120)
endfunction()

# fletching_program(<program> SOURCES ... [DEPENDS rooms...] [PRIVATE targets...])
# A program that ships: build/<preset>/bin/<program>, or fletching/bin/<program> in the wheel,
# where it finds Arrow in the pyarrow folder next door.
function(fletching_program program)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPENDS;PRIVATE")
  if(FLETCHING_FUZZ)
    return()
  endif()
  fletching_room_targets(rooms ${arg_DEPENDS})
  add_executable(${program} ${arg_SOURCES})
  target_include_directories(${program} PRIVATE "${PROJECT_SOURCE_DIR}/src")
  target_link_libraries(${program} PRIVATE fletching_strict_warnings ${rooms} ${arg_PRIVATE}
                                           Arrow::arrow Threads::Threads)
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/../../pyarrow")
  install(TARGETS ${program} RUNTIME DESTINATION fletching/bin COMPONENT daemon)
endfunction()
