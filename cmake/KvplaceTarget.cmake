# The flags every target of this project is compiled with.
function(kvplace_target_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
                                           -Wnon-virtual-dtor -Woverloaded-virtual)
  if(KVPLACE_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# For targets that only parse and print: nobody waits for them, but for their compilation.
function(kvplace_optimise_little target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
endfunction()

# Compiles the files of each folder of a target as one, at most FILES of them, so that headers are read and what they
# define is compiled once for all of these. Files of one folder then share a scope, and see each other's names. Folders
# named APART, to which files are added without a look at the others, still compile file by file.
function(kvplace_compile_together target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FILES" "APART")
  if(NOT KVPLACE_COMPILE_TOGETHER)
    return()
  endif()
  get_target_property(sources ${target} SOURCES)
  get_target_property(folder ${target} SOURCE_DIR)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${folder}" NORMALIZE)
    cmake_path(GET source PARENT_PATH group)
    cmake_path(RELATIVE_PATH group BASE_DIRECTORY "${folder}")
    if(group IN_LIST arg_APART)
      continue()
    endif()
    string(MAKE_C_IDENTIFIER "${group}" group)
    math(EXPR number "0${num_${group}} / ${arg_FILES}")
    math(EXPR num_${group} "0${num_${group}} + 1")
    set_source_files_properties("${source}" PROPERTIES UNITY_GROUP "${group}_${number}")
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# Compiles headers that all files of the target include just once; not for files with options of their own.
function(kvplace_precompile target)
  if(NOT KVPLACE_COMPILE_TOGETHER)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE ${ARGN})
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(own_options "${source}" COMPILE_OPTIONS)
    if(own_options)
      set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()
