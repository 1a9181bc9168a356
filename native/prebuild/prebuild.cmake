# Given to CMake by `npm run prebuilds` as CMAKE_PROJECT_INCLUDE: what a prebuilt addon has beyond one built in place.
# Deferred to the end of CMakeLists.txt, where the target exists.
function(esper_prebuild)
  target_sources(esper_fastpath PRIVATE ${CMAKE_SOURCE_DIR}/native/prebuild/old_glibc.cc)
  # Templates of the standard library would be exported otherwise, and another addon in the process bound to ours.
  target_link_options(esper_fastpath PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/native/prebuild/exports.map
                                             -Wl,-s)
  # No path of the building host in what is published.
  target_compile_options(esper_fastpath PRIVATE -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
endfunction()
cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL esper_prebuild)
