# Compiles through ccache where there is one. Its sloppiness is what precompiled headers ask for.
find_program(KVPLACE_CCACHE ccache)
mark_as_advanced(KVPLACE_CCACHE)
if(KVPLACE_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}"
      "CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime" "${KVPLACE_CCACHE}")
endif()
