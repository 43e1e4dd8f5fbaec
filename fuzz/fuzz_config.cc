// config.json: any bytes give a configuration or an Error, in bounded time and memory.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "models/registry.h"
#include "nn/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ferry::models::Registry registry = ferry::models::Registry::builtin();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto json = ferry::parse_json(text, "config.json");
    for (const auto& type : registry.model_types()) {
      try {
        ferry::nn::ConfigReader reader(json, "config.json");
        registry.get(type).read_config(reader);
        (void)reader.unknown_keys();
      } catch (const ferry::Error& error) {
        if (error.code() == ferry::ErrorCode::internal) throw;
      }
    }
  } catch (const ferry::Error& error) {
    // Input must not reach what only a bug of ours can.
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
