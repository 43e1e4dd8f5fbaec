// Any bytes are a zip directory or an Error; every record of what is accepted lies within the bytes.
// Seeds: tests/data/checkpoint/torch/*.bin.
#include "base/error.h"
#include "checkpoint/zip.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto zip =
        ferry::checkpoint::read_zip_directory({reinterpret_cast<const char*>(data), size}, "fuzz");
    for (const auto& [name, record] : zip) {
      if (record.offset > size || record.size > size - record.offset) __builtin_trap();
    }
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
