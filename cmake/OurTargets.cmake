# One place for the flags of our own code; dependencies' headers are system headers and exempt.
function(mformer_flags target)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_FUNCTION_LIST_DIR}/..>
                             $<INSTALL_INTERFACE:include/mformer>)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror)
  # GCC 12 reports false maybe-uninitialized and restrict problems inside optimised library templates.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-maybe-uninitialized -Wno-restrict)
  endif()
  if(MFORMER_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
  if(MFORMER_FUZZ STREQUAL "libFuzzer")
    target_compile_options(${target} PUBLIC -fsanitize=fuzzer-no-link)
  elseif(MFORMER_FUZZ STREQUAL "coverage")
    target_compile_options(${target} PUBLIC -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(${target} PUBLIC -fprofile-instr-generate)
  endif()
  if(MFORMER_UNITY AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage) # about names in headers; these files are none
  endif()
  if(MFORMER_UNITY)
    # Once the folder has named all of its sources. What is deferred is read then, so the name is put in now.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL mformer_compile_together ${target})")
  endif()
endfunction()

# Most of the time to compile one of our files goes into the headers of LibTorch, JSON and the standard library. Read once
# for MFORMER_UNITY files of a folder, they cost a fraction: files of one target share one namespace, so what is local to
# a file needs a name of its own within its folder. CMake's own UNITY_BUILD names the files by absolute paths, with which
# ccache would not hit in another clone.
function(mformer_compile_together target)
  get_target_property(sources ${target} SOURCES)
  set(batch "")
  set(count 0)
  foreach(source IN LISTS sources)
    get_filename_component(path ${source} ABSOLUTE)
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${path})
    get_source_file_property(options ${source} COMPILE_OPTIONS)
    if(options OR NOT path MATCHES "^[^.].*\\.cpp$" OR path MATCHES "^build/")
      continue() # compiled in its own way, or generated
    endif()
    set_source_files_properties(${source} PROPERTIES HEADER_FILE_ONLY ON)
    string(APPEND batch "#include \"${path}\"\n")
    math(EXPR count "${count} + 1")
    math(EXPR full "${count} % ${MFORMER_UNITY}")
    if(full EQUAL 0)
      mformer_add_batch(${target} ${count} "${batch}")
      set(batch "")
    endif()
  endforeach()
  if(batch)
    mformer_add_batch(${target} ${count} "${batch}")
  endif()
endfunction()

# A file of #include lines, written only where they changed.
function(mformer_add_batch target number includes)
  set(file ${CMAKE_CURRENT_BINARY_DIR}/${target}_${number}.cpp)
  file(CONFIGURE OUTPUT ${file} CONTENT "${includes}" @ONLY)
  target_sources(${target} PRIVATE ${file})
endfunction()

# mformer_library(<name> SOURCES <files> LINKS <targets>): an object library would do, a static one keeps link lines short.
function(mformer_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
  mformer_flags(${name})
  if(NOT CMAKE_CURRENT_SOURCE_DIR STREQUAL ${CMAKE_SOURCE_DIR}/cli) # others build on the layers below (cmake/Install.cmake)
    set_property(GLOBAL APPEND PROPERTY MFORMER_PUBLIC_LIBRARIES ${name})
  endif()
endfunction()

# mformer_light(<targets>): code that waits for files and for other code. Optimising it takes a quarter of its compiling and
# is never won back.
function(mformer_light)
  foreach(target IN LISTS ARGN)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endforeach()
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
  mformer_light(${name})
  if("gpu" IN_LIST ARG_LABELS)
    set_property(GLOBAL APPEND PROPERTY MFORMER_DEVICE_TESTS ${name})
    set_property(GLOBAL APPEND PROPERTY MFORMER_DEVICE_TESTS_LINKS ${ARG_LINKS})
  endif()
  if(NOT ARG_SHARDS)
    set(ARG_SHARDS 1)
  endif()
  math(EXPR last "${ARG_SHARDS} - 1")
  foreach(shard RANGE ${last})
    set(test ${name})
    if(last GREATER 0)
      string(APPEND test "_${shard}")
    endif()
    add_test(NAME ${test} COMMAND ${CMAKE_SOURCE_DIR}/tests/in_memory.sh $<TARGET_FILE:${name}> --gtest_brief=1
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${test} PROPERTIES TIMEOUT 600 LABELS "${ARG_LABELS}"
      ENVIRONMENT "OMP_WAIT_POLICY=passive;GTEST_TOTAL_SHARDS=${ARG_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()
