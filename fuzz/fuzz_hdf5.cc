// Any bytes are a tf_model.h5 or an Error, through libhdf5 as ferry calls it.
// Seeds: tests/data/checkpoint/h5/*.h5 and h5/hostile/*.h5.
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/h5_file.h"
#include "checkpoint/keras_h5.h"

// libhdf5 itself leaks a few bytes of some broken files, and asks for as much memory as a file claims; what
// malloc refuses, or what reading then cannot fill, becomes an error.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}
extern "C" const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::vector<char*> arguments(*argv, *argv + *argc);
  static std::string no_limit = "-malloc_limit_mb=1000000";
  arguments.push_back(no_limit.data());
  *argc = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  *argv = arguments.data();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const auto image = ferry::memory_source({bytes, bytes + size});
    const auto file =
        ferry::checkpoint::read_keras_h5(ferry::checkpoint::H5File::open(image, "fuzz"), "fuzz");
    for (const auto& [name, weight] : file.tensors) {
      if (weight.size_bytes() <= 64 * size) (void)weight.bytes();
    }
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
