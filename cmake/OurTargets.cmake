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
  # Most of the time to compile one of our files goes into the headers of LibTorch, JSON and the standard library.
  # Read once for several files of a folder, they cost a fraction: files of one target share one namespace, so what is
  # local to a file needs a name of its own within its folder.
  if(MFORMER_UNITY)
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage) # about names in headers; these files are none
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${MFORMER_UNITY})
  endif()
endfunction()

# mformer_library(<name> SOURCES <files> LINKS <targets>): an object library would do, a static one keeps link lines short.
function(mformer_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
  mformer_flags(${name})
endfunction()

# mformer_test(<name> SOURCES <files> LINKS <targets> [SHARDS <n>] [LABELS <labels>]): one GoogleTest program; MFORMER_TEST_DATA is
# tests/data. CTest runs it whole, or in shards of every n-th test: a process for each test would load LibTorch anew.
# It runs in the clone's own folder: an absolute path among the definitions would keep ccache from hitting elsewhere.
function(mformer_test name)
  cmake_parse_arguments(ARG "" "SHARDS" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main GTest::gmock)
  target_compile_definitions(${name} PRIVATE MFORMER_TEST_DATA="tests/data")
  mformer_flags(${name})
  # Tests run once: what the compiler spends on optimising them is not won back.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  if(NOT ARG_SHARDS)
    set(ARG_SHARDS 1)
  endif()
  math(EXPR last "${ARG_SHARDS} - 1")
  foreach(shard RANGE ${last})
    set(test ${name})
    if(last GREATER 0)
      string(APPEND test "_${shard}")
    endif()
    add_test(NAME ${test} COMMAND ${name} --gtest_brief=1
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${test} PROPERTIES TIMEOUT 600 LABELS "${ARG_LABELS}"
      ENVIRONMENT "OMP_WAIT_POLICY=passive;GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()
