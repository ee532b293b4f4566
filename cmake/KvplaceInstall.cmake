# Installation, and the package that find_package(kvplace) finds.
include(CMakePackageConfigHelpers)

set(kvplace_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/kvplace")

install(TARGETS kvplace EXPORT kvplaceTargets
        ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
        RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/kvplace" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
if(TARGET kvplace_cli)
  install(TARGETS kvplace_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
if(TARGET kvplace_words)
  install(FILES "${kvplace_man_page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(FILES "${kvplace_completions}/kvplace" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(FILES "${kvplace_completions}/_kvplace" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
  install(FILES "${kvplace_completions}/kvplace.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
endif()
if(EXISTS "${PROJECT_SOURCE_DIR}/data")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/data" DESTINATION "${CMAKE_INSTALL_DATADIR}/kvplace")
endif()

install(EXPORT kvplaceTargets NAMESPACE kvplace:: DESTINATION "${kvplace_package_dir}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/kvplaceConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/kvplaceConfig.cmake"
                              INSTALL_DESTINATION "${kvplace_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/kvplaceConfigVersion.cmake"
                                 VERSION "${PROJECT_VERSION}" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/kvplaceConfig.cmake" "${PROJECT_BINARY_DIR}/kvplaceConfigVersion.cmake"
        DESTINATION "${kvplace_package_dir}")
