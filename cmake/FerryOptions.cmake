# Compiler settings that every target shares, as one interface library.
add_library(ferry_options INTERFACE)
target_include_directories(ferry_options INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
target_compile_definitions(ferry_options INTERFACE FERRY_VERSION="${PROJECT_VERSION}")
target_compile_options(ferry_options INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers
  # g++ 12 sees overlaps in std::string that cannot be (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(FERRY_WERROR)
  target_compile_options(ferry_options INTERFACE -Werror)
endif()
if(FERRY_SANITIZE)
  target_compile_options(ferry_options INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ferry_options INTERFACE -fsanitize=address,undefined)
endif()
if(FERRY_TSAN)
  target_compile_options(ferry_options INTERFACE -fsanitize=thread)
  target_link_options(ferry_options INTERFACE -fsanitize=thread)
endif()
if(FERRY_FUZZ)
  target_compile_options(ferry_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()
