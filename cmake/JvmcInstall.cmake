# What `cmake --install` puts where, and the Debian package that CPack makes of it (`cpack --config build/release/CPackConfig.cmake`).
# The tree can be moved: programs find each other by their own place.
include(GNUInstallDirs)

install(TARGETS irc jvmcluster jvmcluster-vm)
if(TARGET manual)
  install(DIRECTORY "${CMAKE_BINARY_DIR}/manual/man1" DESTINATION ${CMAKE_INSTALL_MANDIR})
  install(DIRECTORY "${CMAKE_BINARY_DIR}/manual/bash/" DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(DIRECTORY "${CMAKE_BINARY_DIR}/manual/zsh/" DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(DIRECTORY "${CMAKE_BINARY_DIR}/manual/fish/" DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
set(shared ${CMAKE_INSTALL_DATADIR}/jvmcluster)
install(FILES "${CMAKE_BINARY_DIR}/manual/ir.tmLanguage.json" DESTINATION ${shared})
install(PROGRAMS tools/show_stats.py tools/ppm_to_png.py DESTINATION ${shared})
install(DIRECTORY examples/ DESTINATION ${shared}/examples
        FILES_MATCHING PATTERN "*.ir" PATTERN "data/*" PATTERN "expected" EXCLUDE PATTERN "frontend" EXCLUDE)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
# The program contains uPlot, whose licence wants to be told. jvmcluster itself comes without one so far.
file(READ cluster/dashboard/web/vendor/uPlot.LICENSE uplot)
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/copyright" @ONLY CONTENT
"jvmcluster names no licence.

Its dashboard contains uPlot 1.6:

@uplot@
")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/copyright" DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME jvmcluster)
set(CPACK_PACKAGE_VENDOR "the jvmcluster developers")
set(CPACK_PACKAGE_CONTACT "the jvmcluster developers <packages@jvmcluster.invalid>" CACHE STRING "Maintainer of the package")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "cluster of JIT-compiled virtual machines for one program")
set(CPACK_PACKAGE_DESCRIPTION
"Runs one multi-threaded program with shared objects, monitors and volatiles
on many machines. Threads move between machines while they run, out of
compiled code and with their stacks; objects live in one global space under
Java's memory model.
.
irc checks, compiles and shows programs in the intermediate representation;
jvmcluster runs them on local processes or on the agents of a cluster, and
looks at running ones.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "gdb, linux-perf, python3")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/finish_deb_tree.cmake")
include(CPack)
