# `cmake --install build --prefix DIR`: the program under both of its names, libferry.a with the headers, and
# the package that find_package(ferry) finds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# One archive of all layers: whoever links it sees one library.
add_library(ferry_archive STATIC)
set_target_properties(ferry_archive PROPERTIES OUTPUT_NAME ferry LINKER_LANGUAGE CXX)
get_property(layers GLOBAL PROPERTY FERRY_LAYERS)
foreach(layer IN LISTS layers ITEMS onnx_proto)
  get_target_property(type ferry_${layer} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    target_sources(ferry_archive PRIVATE $<TARGET_OBJECTS:ferry_${layer}>)
  endif()
endforeach()

install(TARGETS ferry RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS ferry_archive ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
# Commands printed in Hugging Face's pages run as they stand. A name that is taken stays as it is.
install(CODE "
  set(link \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/optimum-cli\")
  if(NOT EXISTS \"\${link}\")
    file(CREATE_LINK ferry \"\${link}\" SYMBOLIC)
  endif()")

# The public headers, and those below src/ that they and definitions of architectures include.
install(CODE "
  set(FERRY_SOURCE_DIR \"${CMAKE_SOURCE_DIR}\")
  set(FERRY_HEADER_DIR \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}\")")
install(SCRIPT "${CMAKE_SOURCE_DIR}/cmake/install_headers.cmake")

# ONNX Runtime, found in ../lib from the program, if ./dev setup fetched it.
option(FERRY_INSTALL_ONNXRUNTIME "Install the ONNX Runtime of FERRY_DEPS_DIR beside ferry" ON)
file(GLOB runtime "${FERRY_DEPS_DIR}/onnxruntime/lib/libonnxruntime.so.*")
if(FERRY_INSTALL_ONNXRUNTIME AND runtime)
  install(FILES ${runtime} DESTINATION lib RENAME libonnxruntime.so.1)
  install(FILES "${FERRY_DEPS_DIR}/onnxruntime/LICENSE" "${FERRY_DEPS_DIR}/onnxruntime/ThirdPartyNotices.txt"
    DESTINATION "${CMAKE_INSTALL_DOCDIR}/onnxruntime" OPTIONAL)
endif()
install(FILES LICENSE README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}" OPTIONAL)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/ferry")
configure_package_config_file(cmake/ferry-config.cmake.in "${CMAKE_BINARY_DIR}/ferry-config.cmake"
  INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/ferry-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/ferry-config.cmake" "${CMAKE_BINARY_DIR}/ferry-config-version.cmake"
  DESTINATION "${package_dir}")
