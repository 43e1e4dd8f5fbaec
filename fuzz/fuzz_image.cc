// Any bytes are a picture or an Error. Seeds: tests/data/images.
#include "base/error.h"
#include "ferry/image_processor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const ferry::Image image = ferry::decode_image({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    if (size_t{image.width} * image.height < 1 << 16)
      (void)ferry::resize(image, 7, 5, ferry::Resampling::bicubic);
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
