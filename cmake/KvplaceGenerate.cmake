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

# What pages of results are made of: their style and script, and plotly's bundle, compressed and as base64.
function(kvplace_embed_page_assets folder bundle output)
  set(packed "${output}.plotly")
  add_custom_command(OUTPUT "${packed}" DEPENDS "${bundle}" VERBATIM
                     COMMAND sh -c "gzip -9nc \"$0\" | base64 -w 0 > \"$1\"" "${bundle}" "${packed}")
  foreach(asset IN ITEMS page.css page.js explore.js)
    file(READ "${folder}/${asset}" ${asset})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${folder}/${asset}")
  endforeach()
  # No compiler takes a literal of megabytes well; the assembler includes a file as it is.
  file(CONFIGURE OUTPUT "${output}" @ONLY CONTENT [[#include "report/assets.h"

asm(R"(
  .section .rodata
  .global kvplace_plotly_begin
  .global kvplace_plotly_end
kvplace_plotly_begin:
  .incbin "@packed@"
kvplace_plotly_end:
  .byte 0
  .previous
)");

extern "C" const char kvplace_plotly_begin[];  // NOLINT: of the assembler
extern "C" const char kvplace_plotly_end[];    // NOLINT

namespace kvplace {

std::string_view plotly_bundle() {
  return {kvplace_plotly_begin, static_cast<std::size_t>(kvplace_plotly_end - kvplace_plotly_begin)};
}
std::string_view page_style() { return R"asset(@page.css@)asset"; }
std::string_view page_script() { return R"asset(@page.js@)asset"; }
std::string_view page_explorer() { return R"asset(@explore.js@)asset"; }

}  // namespace kvplace
]])
  set_source_files_properties("${output}" PROPERTIES OBJECT_DEPENDS "${packed}" SKIP_UNITY_BUILD_INCLUSION ON)
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
