# `cmake --build --preset release --target lint`: formatting of every file, then clang-tidy on our sources.
find_program(CLANG_FORMAT NAMES clang-format-14 clang-format)
find_program(CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
if(CLANG_FORMAT AND CLANG_TIDY)
  file(GLOB_RECURSE lint_files CONFIGURE_DEPENDS
       ${CMAKE_SOURCE_DIR}/kernels/*.cpp ${CMAKE_SOURCE_DIR}/kernels/*.h
       ${CMAKE_SOURCE_DIR}/modules_registry/*.cpp ${CMAKE_SOURCE_DIR}/modules_registry/*.h
       ${CMAKE_SOURCE_DIR}/core/*.cpp ${CMAKE_SOURCE_DIR}/core/*.h
       ${CMAKE_SOURCE_DIR}/cli/*.cpp ${CMAKE_SOURCE_DIR}/cli/*.h
       ${CMAKE_SOURCE_DIR}/tests/*.cpp ${CMAKE_SOURCE_DIR}/tests/*.h)
  list(FILTER lint_files EXCLUDE REGEX "/tests/data/") # samples of others' code
  set(tidy_files ${lint_files})
  list(FILTER tidy_files INCLUDE REGEX "^${CMAKE_SOURCE_DIR}/(kernels|modules_registry|core|cli)/.*\\.cpp$")
  add_custom_target(lint
    COMMAND ${CLANG_FORMAT} --dry-run --Werror ${lint_files}
    # clang-tidy wants a command for each file: the build compiles several as one.
    COMMAND ${CMAKE_COMMAND} -S ${CMAKE_SOURCE_DIR} -B ${CMAKE_BINARY_DIR}/tidy -G Ninja -DMFORMER_UNITY=0 -DMFORMER_CUDA=OFF
    COMMAND ${CMAKE_SOURCE_DIR}/cmake/tidy.sh ${CLANG_TIDY} ${CMAKE_BINARY_DIR} ${tidy_files}
    COMMENT "clang-format and clang-tidy" VERBATIM USES_TERMINAL)
  add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${lint_files} COMMENT "clang-format" VERBATIM)
else()
  message(STATUS "No lint target: it needs clang-format and clang-tidy (recipes/setup.sh --lint installs them)")
endif()
