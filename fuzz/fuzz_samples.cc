// Any line is a sample that fits the graph, or an Error. Texts, pictures and sound have no folder here.
// Seeds: fuzz/corpus/samples.
#include "base/error.h"
#include "runtime/samples.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using ferry::DType;
  try {
    ferry::runtime::SampleReader reader({{"input_ids", DType::i64, ferry::Dims{-1, -1}, 100},
                                         {"token_type_ids", DType::i32, ferry::Dims{-1, -1}, 2},
                                         {"past_key_values.0.key", DType::f16, ferry::Dims{-1, 2, -1, 4}, {}},
                                         {"flags", DType::boolean, std::nullopt, {}}},
                                        "/nonexistent", "/nonexistent", {.max_line_bytes = 1u << 20});
    const auto sample = reader({reinterpret_cast<const char*>(data), size});
    for (const auto& [name, tensor] : sample) tensor.check();
    for (const int64_t id : sample.at("input_ids").as<int64_t>()) {
      if (id < 0 || id >= 100) __builtin_trap();
    }
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
