# `cmake --install build/release --prefix DIR` installs two components; either can be asked for alone (--component program):
#   program      bin/mformer, what it runs (libexec/mformer), LibTorch's libraries (lib/mformer), manual pages, completion
#   development  headers and static libraries of the layers below the command line, and find_package(mformer)
# All that is found at run time is found relative to the program ($ORIGIN), so DIR can be moved and copied. docs/install.md.
option(MFORMER_INSTALL_LIBTORCH "Install LibTorch's libraries beside the program; OFF: the ones it was built with are used" ON)

# The program that computes, and so loads LibTorch.
set(computing mformer)
if(TARGET mformer-compute)
  set(computing mformer-compute)
  install(TARGETS mformer-compute RUNTIME DESTINATION libexec/mformer COMPONENT program)
  set(to_prefix "\$ORIGIN/../..")
else()
  set(to_prefix "\$ORIGIN/..")
endif()
install(TARGETS mformer RUNTIME DESTINATION bin COMPONENT program)
if(MFORMER_INSTALL_LIBTORCH)
  set_target_properties(${computing} PROPERTIES INSTALL_RPATH "${to_prefix}/lib/mformer/torch/lib")
else()
  set_target_properties(${computing} PROPERTIES INSTALL_RPATH ${torch_lib})
endif()

# The folders lie to each other as in the wheels, so that LibTorch's own $ORIGIN/../../nvidia/cu13/lib holds here too.
function(mformer_install_library folder file)
  get_filename_component(name ${file} NAME)
  get_filename_component(real ${file} REALPATH)
  install(PROGRAMS ${real} DESTINATION lib/mformer/${folder} RENAME ${name} COMPONENT program)
endfunction()
if(MFORMER_INSTALL_LIBTORCH)
  foreach(file ${torch_lib}/libtorch_cpu.so ${torch_lib}/libc10.so ${torch_gomp})
    mformer_install_library(torch/lib ${file})
  endforeach()
  file(GLOB nvidia ${torch_root}/../nvidia/cu13/lib/libcudart.so.13 ${torch_root}/../nvidia/cu13/lib/libcupti.so.13)
  foreach(file ${nvidia})
    mformer_install_library(nvidia/cu13/lib ${file})
  endforeach()
endif()

# Manual pages and completion come out of the program itself.
set(shell ${CMAKE_BINARY_DIR}/shell)
add_custom_command(OUTPUT ${shell}/made
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${shell}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${shell}
  COMMAND mformer man-pages ${shell}/man1
  COMMAND mformer completion bash > ${shell}/mformer
  COMMAND mformer completion zsh > ${shell}/_mformer
  COMMAND mformer completion fish > ${shell}/mformer.fish
  COMMAND ${CMAKE_COMMAND} -E touch ${shell}/made
  DEPENDS mformer COMMENT "manual pages and completion")
add_custom_target(man ALL DEPENDS ${shell}/made)
install(CODE "if(NOT EXISTS \"${shell}/made\")
  message(FATAL_ERROR \"the manual pages are not made yet; first: cmake --build ${CMAKE_BINARY_DIR}\")
endif()" COMPONENT program)
install(DIRECTORY ${shell}/man1 DESTINATION share/man COMPONENT program)
install(FILES ${shell}/mformer DESTINATION share/bash-completion/completions COMPONENT program)
install(FILES ${shell}/_mformer DESTINATION share/zsh/site-functions COMPONENT program)
install(FILES ${shell}/mformer.fish DESTINATION share/fish/vendor_completions.d COMPONENT program)
install(FILES LICENSE CHANGELOG.md DESTINATION share/doc/mformer COMPONENT program)

# Studies on one's own data: Python's standard library and the program, so the files come along as they are.
set(study README.md example.json plots.py program.py runner.py study.py study_file.py study_report.py tables.py)
list(TRANSFORM study PREPEND recipes/study/)
install(FILES ${study} DESTINATION share/mformer/study COMPONENT program)
install(FILES ${study} DESTINATION mformer/_study COMPONENT wheel EXCLUDE_FROM_ALL)
install(FILES cmake/package/copyright DESTINATION share/doc/mformer COMPONENT program)

# What the Python package holds (pyproject.toml) beside its module: the program and the study. It finds LibTorch in the package `torch` beside it, by a
# path that takes the place of the build's own.
if(TARGET mformer-compute)
  set(wheel_folder mformer/libexec/mformer)
  install(PROGRAMS $<TARGET_FILE:mformer> DESTINATION mformer/bin COMPONENT wheel EXCLUDE_FROM_ALL)
  set(wheel_rpath "\\\$ORIGIN/../../../torch/lib")
else()
  set(wheel_folder mformer/bin)
  set(wheel_rpath "\\\$ORIGIN/../../torch/lib")
endif()
install(PROGRAMS $<TARGET_FILE:${computing}> DESTINATION ${wheel_folder} COMPONENT wheel EXCLUDE_FROM_ALL)
install(CODE "file(RPATH_SET FILE \"\${CMAKE_INSTALL_PREFIX}/${wheel_folder}/$<TARGET_FILE_NAME:${computing}>\"
  NEW_RPATH \"${wheel_rpath}\")" COMPONENT wheel EXCLUDE_FROM_ALL)

# The libraries: the targets mformer::registry, mformer::kernels, mformer::workflows, … as they are linked here.
get_property(libraries GLOBAL PROPERTY MFORMER_PUBLIC_LIBRARIES)
foreach(library ${libraries})
  string(REGEX REPLACE "^mformer_" "" name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
  set_property(TARGET ${library} APPEND PROPERTY INTERFACE_COMPILE_FEATURES cxx_std_20)
endforeach()
# What lies outside of the installed folder is said by mformerConfig.cmake, for the machine where it is read.
foreach(outside libtorch libtorch_headers minja)
  if(NOT TARGET ${outside})
    continue()
  endif()
  list(APPEND libraries ${outside})
  foreach(property INTERFACE_INCLUDE_DIRECTORIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES INTERFACE_LINK_LIBRARIES)
    get_target_property(values ${outside} ${property})
    if(values)
      list(TRANSFORM values REPLACE "(.+)" "$<BUILD_INTERFACE:\\1>")
      set_target_properties(${outside} PROPERTIES ${property} "${values}")
    endif()
  endforeach()
endforeach()
set_property(TARGET libtorch APPEND PROPERTY INTERFACE_LINK_LIBRARIES $<INSTALL_INTERFACE:mformer::torch>)
install(TARGETS ${libraries} EXPORT mformer ARCHIVE DESTINATION lib/mformer COMPONENT development)
install(EXPORT mformer NAMESPACE mformer:: FILE mformerTargets.cmake DESTINATION lib/cmake/mformer COMPONENT development)
install(DIRECTORY core kernels modules_registry DESTINATION include/mformer COMPONENT development FILES_MATCHING
  PATTERN "*.h" PATTERN bench EXCLUDE PATTERN schema EXCLUDE)
include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/package/mformerConfig.cmake.in ${CMAKE_BINARY_DIR}/mformerConfig.cmake
  INSTALL_DESTINATION lib/cmake/mformer)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mformerConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mformerConfig.cmake ${CMAKE_BINARY_DIR}/mformerConfigVersion.cmake
  DESTINATION lib/cmake/mformer COMPONENT development)

# `cpack --config build/release/CPackConfig.cmake`: the component program as a Debian package.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mformer)
set(CPACK_PACKAGE_CONTACT "The developers of mformer <mformer@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_FILE ${CMAKE_SOURCE_DIR}/cmake/package/description)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL program)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME mformer)
set(CPACK_DEBIAN_PROGRAM_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${torch_lib} ${torch_root}/../nvidia/cu13/lib)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd) # xz takes minutes for the 450 MB of LibTorch
include(CPack)
