# The Python package: extension module, typing stubs, and in a wheel the command with the bundled data.
#
# In a build tree the package lies ready to import in <build>/python; a wheel (scikit-build-core, `pip install .`) takes
# the component "python".

# The interpreter: -DPython3_EXECUTABLE, else the environment that scripts/setup --tests makes, else what is found.
if(NOT DEFINED Python3_EXECUTABLE AND NOT SKBUILD)
  set(kvplace_test_env "$ENV{KVPLACE_TEST_ENV}")
  if(NOT kvplace_test_env)
    set(kvplace_test_env "${PROJECT_SOURCE_DIR}/build/test-env")
  endif()
  if(EXISTS "${kvplace_test_env}/bin/python")
    set(Python3_EXECUTABLE "${kvplace_test_env}/bin/python" CACHE FILEPATH "Interpreter of the tests and the package")
  endif()
endif()

if(KVPLACE_BUILD_PYTHON)
  if(DEFINED Python3_EXECUTABLE AND NOT DEFINED Python_EXECUTABLE)
    set(Python_EXECUTABLE "${Python3_EXECUTABLE}" CACHE FILEPATH "Interpreter the package is built for")
  endif()
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
                  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
                  RESULT_VARIABLE kvplace_no_nanobind)
  if(kvplace_no_nanobind)
    message(FATAL_ERROR "${Python_EXECUTABLE} has no nanobind, which the Python package is built with: run "
                        "scripts/setup --tests, or configure with -DKVPLACE_BUILD_PYTHON=OFF")
  endif()
  find_package(nanobind CONFIG REQUIRED)
endif()
