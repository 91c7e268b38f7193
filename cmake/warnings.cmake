# Warnings are errors everywhere. Libraries of others are SYSTEM includes and stay silent.
add_library(fletching_warnings INTERFACE)
target_compile_options(fletching_warnings INTERFACE -Wall -Wextra -Wshadow -Werror)

# Narrowing is worth hearing about in the product, not in every test vector.
add_library(fletching_strict_warnings INTERFACE)
target_link_libraries(fletching_strict_warnings INTERFACE fletching_warnings)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(fletching_strict_warnings INTERFACE -Wconversion -Wold-style-cast)
  # GCC 12 reports these on correct std::string and std::optional code once it inlines:
  # shown, but no reason to stop.
  target_compile_options(fletching_warnings INTERFACE
    -Wno-error=maybe-uninitialized -Wno-error=array-bounds -Wno-error=stringop-overflow
    -Wno-error=stringop-overread -Wno-error=restrict -Wno-error=free-nonheap-object
    -Wno-error=dangling-pointer)
  if(CMAKE_BUILD_TYPE MATCHES "Asan|Tsan")
    # Instrumented code defeats the flow analysis behind these, so they say nothing there.
    target_compile_options(fletching_warnings INTERFACE
      -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict)
  endif()
  if(CMAKE_BUILD_TYPE STREQUAL "Tsan")
    target_compile_options(fletching_warnings INTERFACE -Wno-tsan)  # atomic_thread_fence
  endif()
else()
  target_compile_options(fletching_warnings INTERFACE -Wno-unused-command-line-argument)
endif()
