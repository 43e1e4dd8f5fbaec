// Any bytes are a safetensors file or an Error; what is accepted can be read whole.
// Seeds: tests/data/checkpoint/bert/model.safetensors, tests/data/checkpoint/torch/*.safetensors.
#include "base/error.h"
#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const auto file =
        ferry::checkpoint::read_safetensors(ferry::memory_source({bytes, bytes + size}), "fuzz");
    for (const auto& [name, weight] : file.tensors) (void)weight.bytes();
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
