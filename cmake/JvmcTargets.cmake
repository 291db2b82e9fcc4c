# jvmc_library(NAME FOLDERS... LINK libs...): a static layer library of all .cpp below this folder.
# jvmc_seed_faults(SOURCES...): switches the fault points (ir/support/fault.h) of those sources on that have some.
# jvmc_tests(NAME LINK libs...): one GoogleTest program of all *_test.cpp below this folder, registered with ctest.

# Only files that name a fault get the definition: all other objects are those of the release build, so a compiler cache
# serves them.
function(jvmc_seed_faults)
  if(NOT JVMC_SEEDED_FAULTS)
    return()
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
  foreach(source ${ARGN})
    file(STRINGS "${source}" mention REGEX "support/fault\\.h" LIMIT_COUNT 1)
    if(mention)
      set_property(SOURCE "${source}" APPEND PROPERTY COMPILE_DEFINITIONS JVMC_SEEDED_FAULTS=1)
    endif()
  endforeach()
endfunction()

function(jvmc_library name)
  cmake_parse_arguments(ARG "" "" "EXCLUDE;LINK;LINK_PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  foreach(pattern ${ARG_EXCLUDE})
    list(FILTER sources EXCLUDE REGEX "${pattern}")
  endforeach()
  if(NOT sources)  # a layer of headers only
    set(sources "${CMAKE_CURRENT_BINARY_DIR}/${name}_empty.cpp")
    file(WRITE "${sources}" "")
  endif()
  jvmc_seed_faults(${sources})
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
endfunction()

function(jvmc_tests name)
  cmake_parse_arguments(ARG "" "" "LINK;LABELS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp")
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest_main GTest::gmock)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "unit;${ARG_LABELS}" TIMEOUT 300)
endfunction()
