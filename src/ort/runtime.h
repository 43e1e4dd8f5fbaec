#pragma once
// ONNX Runtime, opened when the program runs: one ferry serves every version from 1.21 on.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"

namespace ferry::ort {

struct RuntimeOptions {
  /// libonnxruntime.so, or the folder it lies in: what a command line option or the caller's environment
  /// (FERRY_ONNXRUNTIME) says. Empty: it is searched beside the program, in ../lib from there, where the
  /// build found it, and where the system keeps libonnxruntime.so.1.
  std::filesystem::path library;
  /// Where ONNX Runtime's own messages go.
  Log log;
  /// Messages below this are not even made.
  LogLevel severity = LogLevel::warning;
};

/// The library and its environment. Copies share them; they live until the last copy, session and tensor is
/// gone. All functions may be called from several threads.
///
/// Sets ORT_DISABLE_TELEMETRY=1 in the process's environment before anything of the library runs: its Linux
/// builds upload events otherwise. Call open() before starting threads that read the environment.
class Runtime {
 public:
  /// A process uses one library and one environment: while a Runtime lives, open() gives another handle to it
  /// and the options' log and severity are those of the first.
  /// Errors: Error{not_found} if there is no library (the message lists the places), Error{unsupported} if it
  /// is older than 1.21, Error{runtime} if it cannot be loaded, Error{usage} if another file than the loaded
  /// one is asked for.
  static Runtime open(const RuntimeOptions& options = {});

  /// "1.32.0"
  [[nodiscard]] std::string version() const;
  /// The file that was loaded, or the name the system resolved.
  [[nodiscard]] const std::filesystem::path& library() const;
  /// "CPUExecutionProvider", ... in order of preference.
  [[nodiscard]] std::vector<std::string> available_providers() const;

  struct Impl;
  [[nodiscard]] const std::shared_ptr<Impl>& impl() const { return impl_; }

 private:
  explicit Runtime(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<Impl> impl_;
};

}  // namespace ferry::ort
