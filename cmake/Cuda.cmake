# Our GPU kernels need a CUDA compiler and its static runtime, nothing else: no LibTorch header, no libtorch_cuda.
set(MFORMER_CUDA AUTO CACHE STRING "GPU kernels: AUTO (where nvcc is found), ON (an error without nvcc), OFF")
set_property(CACHE MFORMER_CUDA PROPERTY STRINGS AUTO ON OFF)
set(MFORMER_HAS_CUDA OFF)
if(MFORMER_CUDA STREQUAL "OFF")
  return()
endif()

find_program(MFORMER_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(MFORMER_NVCC)
  set(MFORMER_HAS_CUDA ON)
  message(STATUS "GPU kernels: ${MFORMER_NVCC}")
elseif(MFORMER_CUDA STREQUAL "AUTO")
  message(STATUS "No GPU kernels: no nvcc; --device cuda computes with LibTorch operations")
  return()
else()
  message(FATAL_ERROR "MFORMER_CUDA=ON needs nvcc, which was not found: CUDA_HOME=/path/to/cuda, or MFORMER_CUDA=OFF")
endif()

# One machine image each: Ampere (8.x), Hopper, and Blackwell of data centres (10.x) and of workstations (12.x). What is
# between and beyond compiles the PTX of Hopper when it first runs a kernel.
set(MFORMER_CUDA_ARCHITECTURES "80;90;100;120" CACHE STRING "Compute capabilities that GPU kernels are compiled for, from 80 on")

# mformer_cuda_sources(<target> <file.cu>…)
function(mformer_cuda_sources target)
  get_filename_component(cuda_root ${MFORMER_NVCC} REALPATH)
  get_filename_component(cuda_root ${cuda_root}/../.. ABSOLUTE)
  find_library(MFORMER_CUDART cudart_static HINTS ${cuda_root} PATH_SUFFIXES lib64 lib lib/x64 targets/x86_64-linux/lib
               REQUIRED)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/cuda/*.h)
  set(images)
  foreach(capability ${MFORMER_CUDA_ARCHITECTURES})
    list(APPEND images -gencode arch=compute_${capability},code=sm_${capability})
  endforeach()
  foreach(source ${ARGN})
    get_filename_component(name ${source} NAME)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
    add_custom_command(OUTPUT ${object}
      COMMAND ${MFORMER_NVCC} -std=c++20 -O3 --expt-relaxed-constexpr -Werror all-warnings
              -Xcompiler -Wall,-Wextra,-Wshadow,-fPIC -Xfatbin -compress-all -DMFORMER_HAS_CUDA -I ${CMAKE_SOURCE_DIR}
              ${images} -gencode arch=compute_90,code=compute_90 --threads 4
              -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} ${headers}
      COMMENT "nvcc ${name}" VERBATIM)
    target_sources(${target} PRIVATE ${object})
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  endforeach()
  target_compile_definitions(${target} PRIVATE MFORMER_HAS_CUDA)
  target_link_libraries(${target} PUBLIC ${MFORMER_CUDART} Threads::Threads ${CMAKE_DL_LIBS} rt)
endfunction()
