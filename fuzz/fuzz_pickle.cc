// Any bytes are a PyTorch file, zip or legacy, or an Error; what is accepted can be read whole. Bytes that
// are neither are also run as a bare pickle.
// Seeds: tests/data/checkpoint/torch/*.bin.
#include "base/error.h"
#include "checkpoint/pickle.h"
#include "checkpoint/torch_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    const auto file = ferry::checkpoint::read_torch(ferry::memory_source({bytes, bytes + size}), "fuzz");
    // An expansion may be larger than the file; reading 64 MB of each would only be slow.
    for (const auto& [name, weight] : file.tensors) {
      if (weight.size_bytes() <= size) (void)weight.bytes();
    }
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  try {
    (void)ferry::checkpoint::unpickle({reinterpret_cast<const char*>(data), size}, "fuzz");
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
