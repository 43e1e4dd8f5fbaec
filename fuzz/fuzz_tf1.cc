// Any bytes are the index of a TensorFlow 1 checkpoint or an Error. The same bytes are also split at line
// ends and run through the naming rules of TensorFlow.
// Seeds: tests/data/checkpoint/tf1/*.index, tests/data/checkpoint/tf1/objects/*.index.
#include "base/error.h"
#include "checkpoint/tf1_checkpoint.h"
#include "checkpoint/tf_names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    (void)ferry::checkpoint::parse_tf1_index(text, "fuzz");
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  for (size_t begin = 0; begin < text.size() && begin < 4096;) {
    const size_t end = text.find('\n', begin);
    const std::string_view line = text.substr(begin, end - begin).substr(0, 4096);
    for (size_t rank = 0; rank < 5; ++rank) {
      (void)ferry::checkpoint::name_of_keras(line, rank, rank % 2 == 0);
      (void)ferry::checkpoint::name_of_tf1(line, rank);
      (void)ferry::checkpoint::name_of_flax(line, rank);
    }
    if (end == std::string_view::npos) break;
    begin = end + 1;
  }
  return 0;
}
