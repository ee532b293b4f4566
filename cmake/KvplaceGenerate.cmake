# Sources made at configure time from what lies in a folder, so that adding a file there is all it takes.

# presets/<folder>/*.toml as string literals, in a table the library searches by name.
function(kvplace_embed_presets folder output)
  file(GLOB presets CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/presets/${folder}/*.toml")
  set(entries "")
  foreach(preset IN LISTS presets)
    get_filename_component(stem "${preset}" NAME_WLE)
    file(READ "${preset}" text)
    string(APPEND entries "    {\"${stem}\", R\"preset(${text})preset\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${preset}")
  endforeach()
  string(CONFIGURE [[#include "base/embedded.h"

namespace kvplace {
namespace {
constexpr EmbeddedFile k_@folder@[] = {
@entries@};
}  // namespace

std::span<const EmbeddedFile> embedded_@folder@() { return k_@folder@; }

}  // namespace kvplace
]] content @ONLY)
  file(CONFIGURE OUTPUT "${output}" CONTENT "${content}" @ONLY)
endfunction()

# A function that calls register_<kind>_<stem> of each file in a folder, in order of name.
function(kvplace_generate_registry registry header kind folder output)
  file(GLOB files CONFIGURE_DEPENDS "${folder}/*.cpp")
  set(declarations "")
  set(calls "")
  foreach(file IN LISTS files)
    get_filename_component(stem "${file}" NAME_WLE)
    string(APPEND declarations "void register_${kind}_${stem}(${registry}& registry);\n")
    string(APPEND calls "  register_${kind}_${stem}(registry);\n")
  endforeach()
  string(CONFIGURE [[#include "@header@"

namespace kvplace {

@declarations@
void register_all(@registry@& registry) {
@calls@}

}  // namespace kvplace
]] content @ONLY)
  file(CONFIGURE OUTPUT "${output}" CONTENT "${content}" @ONLY)
endfunction()

# A Python module whose initialisation calls bind_<stem> of each file in a folder, in order of name.
function(kvplace_generate_bindings module folder output)
  file(GLOB files CONFIGURE_DEPENDS "${folder}/*.cpp")
  set(declarations "")
  set(calls "")
  foreach(file IN LISTS files)
    get_filename_component(stem "${file}" NAME_WLE)
    string(APPEND declarations "void bind_${stem}(nanobind::module_& module);\n")
    string(APPEND calls "  kvplace::python::bind_${stem}(module);\n")
  endforeach()
  string(CONFIGURE [[#include <nanobind/nanobind.h>

namespace kvplace::python {

@declarations@
}  // namespace kvplace::python

NB_MODULE(@module@, module) {
@calls@}
]] content @ONLY)
  file(CONFIGURE OUTPUT "${output}" CONTENT "${content}" @ONLY)
endfunction()
