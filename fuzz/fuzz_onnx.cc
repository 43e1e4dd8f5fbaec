// The ONNX reader over arbitrary bytes: it throws ferry::Error or gives a graph, which then prints and goes
// through everything that `ferry onnxruntime optimize` does before it writes.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "exporter/evaluate.h"
#include "onnx/reader.h"
#include "passes/optimize.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A file in memory: the reader maps what it reads.
  static const int file = memfd_create("fuzz_onnx", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (file < 0 || ftruncate(file, 0) != 0 || write(file, data, size) != static_cast<ssize_t>(size)) return 0;
  lseek(file, 0, SEEK_SET);
  try {
    ferry::ir::Graph graph = ferry::onnx::read_model(path);
    (void)ferry::ir::to_string(graph);
    constexpr uint64_t kSmall = 1 << 16;
    for (const ferry::ir::Value* value : graph.used_weights()) {
      if (value->weight->size_bytes() <= kSmall) (void)value->weight->bytes();
    }
    ferry::passes::OptimizeOptions options;
    options.evaluate = ferry::exporter::evaluate;
    options.fp16 = size % 2 == 0;
    ferry::passes::optimize(graph, options);
  } catch (const ferry::Error& error) {
    if (error.code() == ferry::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
