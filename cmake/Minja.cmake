# The Jinja templates of chats are read by minja, two header files. One on CMAKE_PREFIX_PATH wins; else what
# recipes/setup.sh put into the cache.
find_path(MINJA_INCLUDE minja/minja.hpp PATH_SUFFIXES include HINTS ${MFORMER_CACHE}/minja-of-llama-cpp-python-0.3.16)
if(NOT MINJA_INCLUDE)
  message(FATAL_ERROR "minja not found.\n"
                      "Run ./recipes/setup.sh once, or name your own: CMAKE_PREFIX_PATH with include/minja/minja.hpp")
endif()
add_library(minja INTERFACE)
target_include_directories(minja SYSTEM INTERFACE ${MINJA_INCLUDE})
