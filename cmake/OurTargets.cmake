# One place for the flags of our own code; dependencies' headers are system headers and exempt.
function(mformer_flags target)
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
  # GCC 12 reports false maybe-uninitialized and restrict problems inside optimised library templates.
  target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-restrict)
  if(MFORMER_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

# mformer_library(<name> SOURCES <files> LINKS <targets>): an object library would do, a static one keeps link lines short.
function(mformer_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
  mformer_flags(${name})
endfunction()

# mformer_test(<name> SOURCES <files> LINKS <targets>): one GoogleTest program; MFORMER_TEST_DATA is tests/data.
function(mformer_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main GTest::gmock)
  target_compile_definitions(${name} PRIVATE MFORMER_TEST_DATA="${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../tests/data")
  mformer_flags(${name})
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300 ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
