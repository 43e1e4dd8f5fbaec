# The program.
add_executable(ferry src/cli/main.cc)
target_link_libraries(ferry PRIVATE ferry_cli)
set_target_properties(ferry PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
