# embedded_rivals: the engine, the bare loop, RocksDB and LMDB in one process.
foreach(rival "ROCKSDB;rocksdb/db.h;rocksdb;librocksdb-dev" "LMDB;lmdb.h;lmdb;liblmdb-dev")
  list(GET rival 0 name)
  list(GET rival 1 header)
  list(GET rival 2 library)
  list(GET rival 3 package)
  find_path(RIVALS_${name}_INCLUDE ${header})
  find_library(RIVALS_${name}_LIBRARY ${library})
  mark_as_advanced(RIVALS_${name}_INCLUDE RIVALS_${name}_LIBRARY)
  if(NOT RIVALS_${name}_INCLUDE OR NOT RIVALS_${name}_LIBRARY)
    message(FATAL_ERROR "FLETCHING_RIVALS needs ${header}: install the Debian package ${package}, "
                        "or configure with -DFLETCHING_RIVALS=OFF")
  endif()
endforeach()

set(sources embedded_rivals contest rows row_feed store_fletching store_bare_loop store_rocksdb
            store_lmdb)
list(TRANSFORM sources REPLACE "(.+)" "${CMAKE_CURRENT_LIST_DIR}/\\1.cc")
fletching_room_targets(rooms engine)
add_executable(embedded_rivals ${sources})
set_target_properties(embedded_rivals PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
target_include_directories(embedded_rivals PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_include_directories(embedded_rivals SYSTEM PRIVATE
  "${RIVALS_ROCKSDB_INCLUDE}" "${RIVALS_LMDB_INCLUDE}")
target_link_libraries(embedded_rivals PRIVATE fletching_warnings ${rooms} XXHash::xxhash
  "${RIVALS_ROCKSDB_LIBRARY}" "${RIVALS_LMDB_LIBRARY}" Arrow::arrow Threads::Threads)

# Every store, setting, shape and type of key, with tiny sizes.
foreach(shape floats10 floats10of500 floats40 floats100 mixed)
  foreach(key_type utf8 int64)
    add_test(NAME embedded_rivals_${shape}_${key_type}
      COMMAND embedded_rivals --smoke --shape=${shape} --key-type=${key_type}
              "--dir=${CMAKE_BINARY_DIR}/rivals-${shape}-${key_type}")
    set_tests_properties(embedded_rivals_${shape}_${key_type} PROPERTIES
      LABELS bench_smoke TIMEOUT 120)
  endforeach()
endforeach()
