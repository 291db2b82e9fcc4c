# Run by CPack on the tree that becomes the Debian package: what Debian's policy asks of files but an installation by
# hand does not want. Pages are compressed, the documentation has a changelog, and zsh looks elsewhere than for programs of
# /usr/local.
set(share "${CPACK_TEMPORARY_INSTALL_DIRECTORY}${CPACK_PACKAGING_INSTALL_PREFIX}/share")
file(RENAME "${share}/zsh/site-functions" "${share}/zsh/vendor-completions")
file(WRITE "${share}/doc/jvmcluster/changelog"
     "jvmcluster (${CPACK_PACKAGE_VERSION}) stable; urgency=medium\n\n  * Built from the sources of this version.\n\n")
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(APPEND "${share}/doc/jvmcluster/changelog" " -- ${CPACK_PACKAGE_CONTACT}  ${date}\n")
file(GLOB pages "${share}/man/man1/*.1" "${share}/doc/jvmcluster/changelog")
execute_process(COMMAND gzip -9nf ${pages} COMMAND_ERROR_IS_FATAL ANY)
