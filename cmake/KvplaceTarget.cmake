# The flags every target of this project is compiled with.
function(kvplace_target_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
                                           -Wnon-virtual-dtor -Woverloaded-virtual)
  # Where it sees much code at once, g++ 12 takes "text" + std::string for a copy that may overlap or be endless (GCC
  # bugs 105329 and 105651), and what a vector inserts for a write behind its end.
  if(KVPLACE_COMPILE_TOGETHER AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
  endif()
  if(KVPLACE_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# For targets that only parse and print: nobody waits for them, but for their compilation.
function(kvplace_optimise_little target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
endfunction()

# Compiles the files of each folder of a target together, at most FILES of them as one, so that headers are read and what
# they define is compiled once for all of these. Files of one folder then share a scope, and see each other's names.
# Folders named APART, whose files have the same names by custom, still compile file by file.
function(kvplace_compile_together target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FILES" "APART")
  if(NOT KVPLACE_COMPILE_TOGETHER)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  get_target_property(folder ${target} SOURCE_DIR)
  set(groups "")
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${folder}" NORMALIZE)
    cmake_path(GET source PARENT_PATH group)
    cmake_path(RELATIVE_PATH group BASE_DIRECTORY "${folder}")
    get_source_file_property(own_options "${source}" COMPILE_OPTIONS)
    if(group IN_LIST arg_APART OR own_options)
      continue()
    endif()
    string(MAKE_C_IDENTIFIER "${group}" group)
    list(APPEND groups "${group}")
    list(APPEND files_${group} "${source}")
  endforeach()
  list(REMOVE_DUPLICATES groups)
  foreach(group IN LISTS groups)
    # Parts of like size.
    list(LENGTH files_${group} count)
    math(EXPR parts "(${count} + ${arg_FILES} - 1) / ${arg_FILES}")
    set(number 0)
    foreach(source IN LISTS files_${group})
      math(EXPR part "${number} * ${parts} / ${count}")
      math(EXPR number "${number} + 1")
      set_source_files_properties("${source}" PROPERTIES UNITY_GROUP "${group}_${part}")
    endforeach()
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# Compiles headers that all files of the target include just once; not for files with options of their own.
function(kvplace_precompile target)
  if(NOT KVPLACE_COMPILE_TOGETHER)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${ARGN})
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)  # or ccache keeps nothing of it
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(own_options "${source}" COMPILE_OPTIONS)
    if(own_options)
      set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()
