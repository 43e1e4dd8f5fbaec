// Any bytes are a recording or an Error. Seeds: tests/data/audio.
#include "base/error.h"
#include "ferry/feature_extractor.h"

// libsndfile forgets it where an Ogg stream's header is broken.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:vorbis_info_init\nleak:vorbis_synthesis_headerin\nleak:ogg_\n";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    (void)ferry::decode_audio({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
