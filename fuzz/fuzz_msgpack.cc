// Any bytes are a Flax checkpoint or an Error; what is accepted can be named for PyTorch and read whole.
// Seeds: tests/data/checkpoint/bert/flax/flax_model.msgpack.
#include "base/error.h"
#include "checkpoint/flax_msgpack.h"
#include "checkpoint/tf_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const auto file = ferry::checkpoint::read_flax(ferry::memory_source({bytes, bytes + size}), "fuzz");
    for (const auto& [name, weight] : ferry::checkpoint::to_torch_names(file, {}, "fuzz"))
      (void)weight.bytes();
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
