# How tests are registered. Each helper takes a folder and finds its files, so that a test is added by adding its file.

# A program of all tests in a folder, each of them a ctest of its own. LIBRARIES are linked besides gtest.
function(kvplace_add_gtest_folder target label folder)
  cmake_parse_arguments(PARSE_ARGV 3 arg "" "TIMEOUT" "LIBRARIES")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${folder}/*.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(${target} ${sources})
  kvplace_target_defaults(${target})
  if(KVPLACE_COMPILE_TOGETHER)
    kvplace_optimise_little(${target})
    kvplace_compile_together(${target} FILES 8)
  endif()
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/src" "${PROJECT_SOURCE_DIR}/tests")
  # Only where it is used, so that a compiler cache serves the other files of any checkout.
  foreach(source IN LISTS sources)
    file(STRINGS "${source}" uses REGEX KVPLACE_SOURCE_DIR LIMIT_COUNT 1)
    if(uses)
      set_source_files_properties("${source}" PROPERTIES
                                  COMPILE_DEFINITIONS KVPLACE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    endif()
  endforeach()
  target_link_libraries(${target} PRIVATE kvplace::kvplace ${arg_LIBRARIES} GTest::gtest_main)
  set(environment "")
  if(KVPLACE_PROPERTY_CASES)
    set(environment ENVIRONMENT "RC_PARAMS=max_success=${KVPLACE_PROPERTY_CASES}")
  endif()
  gtest_discover_tests(${target} DISCOVERY_TIMEOUT 120
                       PROPERTIES LABELS ${label} TIMEOUT ${arg_TIMEOUT} ${environment})
  add_dependencies(kvplace_tests ${target})
endfunction()

# Each test_*.py of a folder, run as a program. It finds what it tests through its environment.
function(kvplace_add_python_folder label folder)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TIMEOUT" "")
  file(GLOB files CONFIGURE_DEPENDS "${folder}/test_*.py")
  set(environment "KVPLACE_SOURCE_DIR=${PROJECT_SOURCE_DIR}" "KVPLACE_BUILD_DIR=${PROJECT_BINARY_DIR}"
                  "KVPLACE_LIBRARY=$<TARGET_FILE:kvplace>" "PYTHONDONTWRITEBYTECODE=1"
                  "PYTHONPATH=${PROJECT_BINARY_DIR}/python")
  if(TARGET kvplace_cli)
    list(APPEND environment "KVPLACE_BIN=$<TARGET_FILE:kvplace_cli>")
  endif()
  foreach(file IN LISTS files)
    get_filename_component(stem "${file}" NAME_WLE)
    string(REGEX REPLACE "^test_" "" name "${stem}")
    add_test(NAME "${label}.${name}" COMMAND "${Python3_EXECUTABLE}" "${file}")
    set_tests_properties("${label}.${name}" PROPERTIES LABELS ${label} TIMEOUT ${arg_TIMEOUT}
                         ENVIRONMENT "${environment}")
  endforeach()
endfunction()

# Each file is compiled twice: with KVPLACE_FAIL=0 it must build, so that the case does not rot; with =1 it must not.
function(kvplace_add_compile_fail_folder folder)
  file(GLOB files CONFIGURE_DEPENDS "${folder}/*.cpp")
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
  foreach(file IN LISTS files)
    get_filename_component(stem "${file}" NAME_WLE)
    foreach(fails IN ITEMS 0 1)
      set(name "compile_fail.${stem}.${fails}")
      add_test(NAME ${name} COMMAND "${CMAKE_CXX_COMPILER}" ${flags} -std=c++20 -fsyntax-only
                                    "-I${PROJECT_SOURCE_DIR}/include" "-DKVPLACE_FAIL=${fails}" "${file}")
      set_tests_properties(${name} PROPERTIES LABELS compile_fail TIMEOUT 60 WILL_FAIL ${fails})
    endforeach()
  endforeach()
endfunction()
