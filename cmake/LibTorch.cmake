# Own imported targets instead of find_package(Torch): that one needs a CUDA toolkit and always links CUDA.
# A LibTorch on CMAKE_PREFIX_PATH wins; else the one that recipes/setup.sh unpacked into the cache.
set(MFORMER_CACHE "$ENV{MFORMER_CACHE}")
if(NOT MFORMER_CACHE)
  set(MFORMER_CACHE "$ENV{HOME}/.cache/mformer")
endif()

find_library(TORCH_CPU_LIBRARY torch_cpu PATH_SUFFIXES lib HINTS ${MFORMER_CACHE}/libtorch-2.11.0/torch)
if(NOT TORCH_CPU_LIBRARY)
  message(FATAL_ERROR "LibTorch 2.11.0 not found.\n"
                      "Run ./recipes/setup.sh once, or name your own: CMAKE_PREFIX_PATH=/path/to/torch")
endif()
get_filename_component(torch_lib ${TORCH_CPU_LIBRARY} DIRECTORY)
get_filename_component(torch_root ${torch_lib} DIRECTORY)
message(STATUS "LibTorch: ${torch_root}")

file(STRINGS ${torch_root}/include/torch/headeronly/version.h torch_version REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
if(NOT torch_version MATCHES "MAJOR 2;.*MINOR 11$")
  message(WARNING "mformer is tested with LibTorch 2.11; found: ${torch_version}")
endif()

add_library(c10 SHARED IMPORTED)
set_target_properties(c10 PROPERTIES IMPORTED_LOCATION ${torch_lib}/libc10.so)
add_library(torch_cpu SHARED IMPORTED)
set_target_properties(torch_cpu PROPERTIES IMPORTED_LOCATION ${TORCH_CPU_LIBRARY})
add_library(libtorch_headers INTERFACE)
add_library(libtorch INTERFACE)
# at::parallel_for is OpenMP inlined into our files. One runtime in the process: LibTorch's own where it brings one.
file(GLOB torch_gomp ${torch_lib}/libgomp*.so*)
if(torch_gomp)
  target_link_libraries(libtorch INTERFACE ${torch_gomp})
else()
  find_package(OpenMP REQUIRED COMPONENTS CXX)
  target_link_libraries(libtorch INTERFACE OpenMP::OpenMP_CXX)
endif()
target_compile_options(libtorch_headers INTERFACE -fopenmp)
target_include_directories(libtorch_headers SYSTEM INTERFACE ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
target_link_libraries(libtorch INTERFACE libtorch_headers torch_cpu c10)

# One precompiled ATen header for all targets that use tensors: reading it takes four seconds, and twenty to make it.
# torch/torch.h stays out of it (724 MB of header).
add_library(mformer_precompiled_aten OBJECT ${CMAKE_CURRENT_LIST_DIR}/precompiled_aten.cpp)
target_link_libraries(mformer_precompiled_aten PRIVATE libtorch)
target_precompile_headers(mformer_precompiled_aten PRIVATE <ATen/ATen.h>)
mformer_flags(mformer_precompiled_aten)
if(MFORMER_CCACHE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set_target_properties(mformer_precompiled_aten PROPERTIES
    CXX_COMPILER_LAUNCHER "${CMAKE_CURRENT_LIST_DIR}/precompile.sh;${CMAKE_CXX_COMPILER_LAUNCHER}")
endif()

function(mformer_use_torch target)
  get_target_property(kind ${target} TYPE)
  if(kind STREQUAL "EXECUTABLE")
    target_link_libraries(${target} PRIVATE libtorch)
  else()
    target_link_libraries(${target} PUBLIC libtorch)
  endif()
  target_precompile_headers(${target} REUSE_FROM mformer_precompiled_aten)
endfunction()

# For what only reads headers that know tensors, and must not be linked to them.
function(mformer_use_torch_headers target)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:libtorch_headers>)
  target_precompile_headers(${target} REUSE_FROM mformer_precompiled_aten)
  target_compile_options(${target} PRIVATE -ffunction-sections -fdata-sections) # what would need LibTorch is left out
  mformer_light(${target})
endfunction()
