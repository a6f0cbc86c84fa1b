# cmake --install, and two Debian packages by cpack -G DEB: fl-actor (the program and what goes with it) and fl-actor-dev
# (libraries and headers for programs that embed it).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# -- The program ------------------------------------------------------------------------------------------------------

set(manual "${PROJECT_BINARY_DIR}/share/fl_actor_node.1")
set(bash_completion "${PROJECT_BINARY_DIR}/share/bash/fl_actor_node")
set(zsh_completion "${PROJECT_BINARY_DIR}/share/zsh/_fl_actor_node")
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/share/bash" "${PROJECT_BINARY_DIR}/share/zsh")
add_custom_command(OUTPUT "${manual}" "${bash_completion}" "${zsh_completion}"
                   COMMAND fl_actor_node man > "${manual}"
                   COMMAND fl_actor_node completion bash > "${bash_completion}"
                   COMMAND fl_actor_node completion zsh > "${zsh_completion}"
                   DEPENDS fl_actor_node VERBATIM COMMENT "The program writes its manual page and completions")
add_custom_target(fl_manual ALL DEPENDS "${manual}" "${bash_completion}" "${zsh_completion}")

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME program)
install(TARGETS fl_actor_node DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${manual}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${bash_completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES "${zsh_completion}" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions")
install(DIRECTORY configs/ DESTINATION "${CMAKE_INSTALL_DATADIR}/fl_actor/configs" PATTERN systemd EXCLUDE)
# Templates: which of them a machine needs, and with which names in them, its owner says (docs/operations.md).
install(DIRECTORY configs/systemd DESTINATION "${CMAKE_INSTALL_DATADIR}/fl_actor")
install(FILES README.md CHANGELOG.md CONTRIBUTING.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs")

# -- The libraries ----------------------------------------------------------------------------------------------------

set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
set(libraries fl_options fl_proto fl_messages fl_learning fl_actors fl_tensorboard_proto fl_runtime)
if(FL_WITH_TORCH)
  list(APPEND libraries fl_torch fl_learning_torch)
endif()
foreach(library IN LISTS libraries)
  string(REGEX REPLACE "^fl_" "" exported_name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${exported_name})
endforeach()
install(TARGETS ${libraries} EXPORT fl_actorTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY messages learning actors runtime DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/fl_actor"
        FILES_MATCHING PATTERN "*.hpp")
set(config_folder "${CMAKE_INSTALL_LIBDIR}/cmake/fl_actor")
install(EXPORT fl_actorTargets NAMESPACE fl_actor:: DESTINATION "${config_folder}")
configure_package_config_file(cmake/fl_actorConfig.cmake.in "${PROJECT_BINARY_DIR}/fl_actorConfig.cmake"
                              INSTALL_DESTINATION "${config_folder}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fl_actorConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/fl_actorConfig.cmake" "${PROJECT_BINARY_DIR}/fl_actorConfigVersion.cmake"
              cmake/Dependencies.cmake cmake/FindCAF.cmake DESTINATION "${config_folder}")
install(DIRECTORY examples DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# -- Packages ---------------------------------------------------------------------------------------------------------

set(FL_MAINTAINER "fl_actor maintainers <root@localhost>" CACHE STRING "Maintainer in the Debian packages")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fl-actor)
set(CPACK_PACKAGE_CONTACT "${FL_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL program development)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME fl-actor)
set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "${PROJECT_DESCRIPTION}")
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
# With another BLAS training is many times slower.
set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS libopenblas0-pthread)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME fl-actor-dev)
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "${PROJECT_DESCRIPTION}: libraries and headers")
# What Dependencies.cmake looks for.
set(development_packages
    cmake pkg-config libcaf-dev libprotobuf-dev libspdlog-dev libexpected-dev nlohmann-json3-dev libsqlite3-dev zlib1g-dev
    libcli11-dev libtomlplusplus-dev libxxhash-dev libzstd-dev libsodium-dev libisal-dev libssl-dev libcsv-dev libzip-dev
    libpng-dev libturbojpeg0-dev libcpp-httplib-dev prometheus-cpp-dev)
if(FL_WITH_TORCH)
  list(APPEND development_packages libtorch-dev)
endif()
list(JOIN development_packages ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
include(CPack)
