# What the library is built on; all of it is in Debian 12. See scripts/setup for the package names.
find_package(Threads REQUIRED)
find_package(tl-expected REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd>=1.5)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash>=0.8)
pkg_check_modules(clp REQUIRED IMPORTED_TARGET clp>=1.17)
pkg_check_modules(cbc REQUIRED IMPORTED_TARGET cbc>=2.10)
# LEMON: of its headers only what needs none of its library.
find_path(KVPLACE_LEMON_INCLUDE_DIR lemon/network_simplex.h REQUIRED)
mark_as_advanced(KVPLACE_LEMON_INCLUDE_DIR)
