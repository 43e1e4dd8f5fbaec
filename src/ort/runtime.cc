#include "ort/runtime.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <mutex>

#include "base/text.h"
#include "ort/api.h"

namespace ferry::ort {
namespace {

namespace fs = std::filesystem;

constexpr int kOldestMinor = ORT_API_VERSION;  // Release 1.N brings API N.
static_assert(kOldestMinor >= 21);
constexpr const char* kHint =
    "install ONNX Runtime 1.21 or newer (./dev setup fetches one for the build tree), or name its "
    "libonnxruntime.so in the environment variable FERRY_ONNXRUNTIME";

// The library stays loaded: its threads and statics do not survive dlclose.
struct Loaded {
  fs::path path;
  const OrtApiBase* base = nullptr;
};

std::mutex& state_mutex() {
  static std::mutex mutex;
  return mutex;
}

fs::path library_in(const fs::path& place) {
  std::error_code ignored;
  return fs::is_directory(place, ignored) ? place / "libonnxruntime.so" : place;
}

std::vector<fs::path> candidates() {
  std::vector<fs::path> out;
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  for (const char* file : {"libonnxruntime.so", "libonnxruntime.so.1"}) {
    if (!failed) out.push_back(program.parent_path() / file);
  }
  for (const char* file : {"libonnxruntime.so", "libonnxruntime.so.1"}) {
    if (!failed) out.push_back(program.parent_path().parent_path() / "lib" / file);
  }
#ifdef FERRY_ORT_DEFAULT_PATH
  out.emplace_back(FERRY_ORT_DEFAULT_PATH);
#endif
  return out;
}

std::string dl_message() {
  const char* text = dlerror();
  return text != nullptr ? text : "unknown reason";
}

Loaded load(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    throw Error(ErrorCode::runtime, fmt::format("cannot load ONNX Runtime: {}", dl_message()))
        .with_hint(kHint);
  }
  using GetApiBase = const OrtApiBase* (*)();
  const auto get = reinterpret_cast<GetApiBase>(dlsym(handle, "OrtGetApiBase"));
  if (get == nullptr)
    throw Error(ErrorCode::runtime, fmt::format("{} is not ONNX Runtime: {}", path, dl_message()))
        .with_hint(kHint);
  return {path, get()};
}

Loaded find_and_load(const RuntimeOptions& options) {
  std::error_code ignored;
  if (!options.library.empty()) {
    const fs::path file = library_in(options.library);
    if (!fs::exists(file, ignored)) {
      throw Error(ErrorCode::not_found, fmt::format("ONNX Runtime is not at {}", file.string()))
          .with_hint(kHint);
    }
    return load(file.string());
  }
  std::vector<std::string> looked;
  for (const fs::path& file : candidates()) {
    if (fs::exists(file, ignored)) return load(file.string());
    looked.push_back(file.string());
  }
  const char* name = "libonnxruntime.so.1";
  // Only to tell "not installed" from "does not load".
  if (void* found = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    dlclose(found);
    return load(name);
  }
  throw Error(ErrorCode::not_found,
              fmt::format("ONNX Runtime was not found: looked for {}, and the system's {} ({})", join(looked),
                          name, dl_message()))
      .with_hint(kHint);
}

// The process's library; loaded at the first call.
const Loaded& process_library(const RuntimeOptions& options) {
  static Loaded loaded;
  if (loaded.base == nullptr) {
    setenv("ORT_DISABLE_TELEMETRY", "1", 1);
    Loaded next = find_and_load(options);
    const OrtApi* api = next.base->GetApi(ORT_API_VERSION);
    if (api == nullptr) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{} is ONNX Runtime {}; ferry needs 1.{} or newer", next.path.string(),
                              next.base->GetVersionString(), kOldestMinor))
          .with_hint(kHint);
    }
    Ort::InitApi(api);
    loaded = std::move(next);
  } else if (!options.library.empty()) {
    std::error_code failed;
    const fs::path wanted = library_in(options.library);
    if (!fs::equivalent(wanted, loaded.path, failed) || failed) {
      throw Error(ErrorCode::usage,
                  fmt::format("this process runs on ONNX Runtime at {} and cannot open {}, too",
                              loaded.path.string(), wanted.string()));
    }
  }
  return loaded;
}

void ORT_API_CALL forward_message(void* parameter, OrtLoggingLevel severity, const char* category,
                                  const char*, const char* location, const char* message) {
  const auto& log = *static_cast<const Log*>(parameter);
  const std::string text = fmt::format("ONNX Runtime ({}, {}): {}", category, location, message);
  if (severity >= ORT_LOGGING_LEVEL_ERROR) {
    log.error(text);
  } else if (severity == ORT_LOGGING_LEVEL_WARNING) {
    log.warning(text);
  } else if (severity == ORT_LOGGING_LEVEL_INFO) {
    log.info(text);
  } else {
    log.debug(text);
  }
}

}  // namespace

Runtime Runtime::open(const RuntimeOptions& options) {
  static std::weak_ptr<Impl> current;
  const std::lock_guard lock(state_mutex());
  const Loaded& loaded = process_library(options);
  if (auto shared = current.lock()) return Runtime(std::move(shared));
  auto impl = std::make_shared<Impl>();
  impl->log = options.log;
  impl->library = loaded.path;
  impl->base = loaded.base;
  guarded("starting ONNX Runtime", [&] {
    impl->allocator = std::make_unique<LargePageAllocator>();
    impl->env = Ort::Env(logging_level(options.severity), "ferry", forward_message, &impl->log);
    Ort::ThrowOnError(Ort::GetApi().RegisterAllocator(impl->env, impl->allocator.get()));
  });
  current = impl;
  return Runtime(std::move(impl));
}

std::string Runtime::version() const {
  return impl_->base->GetVersionString();
}

const std::filesystem::path& Runtime::library() const {
  return impl_->library;
}

std::vector<std::string> Runtime::available_providers() const {
  return guarded("listing execution providers", [] { return Ort::GetAvailableProviders(); });
}

}  // namespace ferry::ort
