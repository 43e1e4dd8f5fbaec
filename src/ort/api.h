#pragma once
// The only place that includes ONNX Runtime's headers; for the .cc files of this folder.
#define ORT_API_MANUAL_INIT
#include <onnxruntime_cxx_api.h>
#undef ORT_API_MANUAL_INIT

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "ort/runtime.h"

namespace ferry::ort {

/// For sessions without an arena: large tensors are mapped and unmapped one by one.
struct LargePageAllocator : OrtAllocator {
  LargePageAllocator();
  Ort::MemoryInfo info;
};

struct Runtime::Impl {
  Log log;
  std::filesystem::path library;
  const OrtApiBase* base = nullptr;
  std::unique_ptr<LargePageAllocator> allocator;  // Outlives env.
  Ort::Env env{nullptr};
};

inline OrtLoggingLevel logging_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return ORT_LOGGING_LEVEL_VERBOSE;
    case LogLevel::info:
      return ORT_LOGGING_LEVEL_INFO;
    case LogLevel::warning:
      return ORT_LOGGING_LEVEL_WARNING;
    default:
      return ORT_LOGGING_LEVEL_ERROR;
  }
}

/// Runs `body`; what ONNX Runtime throws becomes Error{runtime} that starts with `what`, on one line.
template <typename Body>
decltype(auto) guarded(std::string_view what, Body&& body) {
  try {
    return body();
  } catch (const Ort::Exception& error) {
    std::string message = error.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    throw Error(ErrorCode::runtime, std::string(what) + ": " + message);
  }
}

}  // namespace ferry::ort
