// Any bytes are a tf_model.h5 or an Error.
// Seeds: tests/data/checkpoint/h5/*.h5 and h5/hostile/*.h5.
#include "base/error.h"
#include "checkpoint/keras_h5.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const auto file = ferry::checkpoint::read_keras_h5(ferry::memory_source({bytes, bytes + size}), "fuzz");
    for (const auto& [name, weight] : file.tensors) {
      if (weight.size_bytes() <= 64 * size) (void)weight.bytes();
    }
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
