# ccache, where it is installed, keeps what was compiled in all clones. Paths below the clone count as relative ones, so
# that another folder hits; a precompiled header counts by the text it was made of (cmake/precompile.sh). GCC needs
# -fpch-preprocess for that.
find_program(MFORMER_CCACHE ccache)
if(MFORMER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    CCACHE_PCH_EXTSUM=1
    ${MFORMER_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  endif()
endif()
