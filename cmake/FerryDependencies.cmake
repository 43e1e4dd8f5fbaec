# Libraries come from the system's packages; what no package provides lies in FERRY_DEPS_DIR, put there
# by `./dev setup`. Configuring never touches the network.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(Protobuf REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(simdjson REQUIRED)

# Hugging Face tokenizers' own regular expression engine.
pkg_check_modules(FERRY_ONIGURUMA REQUIRED IMPORTED_TARGET oniguruma)
add_library(ferry_oniguruma INTERFACE)
target_link_libraries(ferry_oniguruma INTERFACE PkgConfig::FERRY_ONIGURUMA)

# Pictures and sound.
pkg_check_modules(FERRY_MEDIA REQUIRED IMPORTED_TARGET libturbojpeg libpng libwebp sndfile soxr)
add_library(ferry_media INTERFACE)
target_link_libraries(ferry_media INTERFACE PkgConfig::FERRY_MEDIA)

# ONNX Runtime: headers only. The library is opened at run time (src/ort), so one program serves every
# version from 1.21 on.
find_path(FERRY_ONNXRUNTIME_INCLUDE_DIR onnxruntime_cxx_api.h
  HINTS "${FERRY_DEPS_DIR}/onnxruntime/include" PATH_SUFFIXES onnxruntime)
if(NOT FERRY_ONNXRUNTIME_INCLUDE_DIR)
  message(FATAL_ERROR "ONNX Runtime's headers are not in ${FERRY_DEPS_DIR}: run ./dev setup, or pass "
                      "-DFERRY_ONNXRUNTIME_INCLUDE_DIR=<folder with onnxruntime_cxx_api.h>")
endif()
add_library(ferry_onnxruntime_headers INTERFACE)
target_include_directories(ferry_onnxruntime_headers SYSTEM INTERFACE "${FERRY_ONNXRUNTIME_INCLUDE_DIR}")

# ONNX's own protocol buffers, compiled for the lite runtime (the file asks for it).
find_file(FERRY_ONNX_PROTO onnx-ml.proto HINTS "${FERRY_DEPS_DIR}/onnx" NO_DEFAULT_PATH)
if(NOT FERRY_ONNX_PROTO)
  message(FATAL_ERROR "onnx-ml.proto is not in ${FERRY_DEPS_DIR}/onnx: run ./dev setup")
endif()
set(FERRY_GENERATED_DIR "${CMAKE_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${FERRY_GENERATED_DIR}")
get_filename_component(FERRY_ONNX_PROTO_DIR "${FERRY_ONNX_PROTO}" DIRECTORY)
add_custom_command(
  OUTPUT "${FERRY_GENERATED_DIR}/onnx-ml.pb.cc" "${FERRY_GENERATED_DIR}/onnx-ml.pb.h"
  COMMAND protobuf::protoc --cpp_out=${FERRY_GENERATED_DIR} -I${FERRY_ONNX_PROTO_DIR} ${FERRY_ONNX_PROTO}
  DEPENDS "${FERRY_ONNX_PROTO}" VERBATIM)
add_library(ferry_onnx_proto STATIC "${FERRY_GENERATED_DIR}/onnx-ml.pb.cc")
target_include_directories(ferry_onnx_proto SYSTEM PUBLIC "${FERRY_GENERATED_DIR}")
target_link_libraries(ferry_onnx_proto PUBLIC protobuf::libprotobuf-lite)
