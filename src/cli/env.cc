// ferry env: what a bug report should say, in the shape of `optimum-cli env`.
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <sys/utsname.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/parallel.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/version.h"
#include "hub/options.h"
#include "ort/runtime.h"

namespace ferry::cli {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

std::string platform() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  return fmt::format("{}-{}-{}-with-glibc{}", name.sysname, name.release, name.machine,
                     gnu_get_libc_version());
}

// The value of the first line "key : value" of /proc/cpuinfo.
std::string cpuinfo(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (!starts_with(line, key) || colon == std::string::npos || colon + 2 > line.size()) continue;
    return line.substr(colon + 2);
  }
  return "";
}

std::string processor() {
  const std::string model = cpuinfo("model name");
  return fmt::format("{} ({} threads to use)", model.empty() ? "unknown" : printable(model),
                     default_threads());
}

// Those that decide which kernels ONNX Runtime takes.
std::string processor_features() {
  const auto flags = split(cpuinfo("flags") + cpuinfo("Features"), ' ');
  std::vector<std::string> found;
  for (const char* name :
       {"avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
        "amx_int8", "amx_bf16", "asimd", "asimddp", "fphp", "i8mm", "bf16", "sve"}) {
    if (std::find(flags.begin(), flags.end(), name) != flags.end()) found.emplace_back(name);
  }
  return join(found);
}

void add_onnxruntime_facts(const Context& context, Facts& facts) {
  try {
    ort::RuntimeOptions options;
    options.library = context.variable("FERRY_ONNXRUNTIME");
    const ort::Runtime runtime = ort::Runtime::open(options);
    facts.emplace_back("ONNX Runtime version", runtime.version());
    facts.emplace_back("ONNX Runtime library", printable(runtime.library().string(), 4096));
    facts.emplace_back("ONNX Runtime providers", join(runtime.available_providers()));
  } catch (const Error& error) {
    facts.emplace_back("ONNX Runtime version", std::string("not usable: ") + error.message());
  }
}

std::string cache_folder(const Context& context) {
  try {
    return printable(hub::HubOptions::from_environment(context.environment()).cache_dir.string(), 4096);
  } catch (const Error& error) {
    return error.message();
  }
}

std::string without_backticks(std::string key) {
  std::erase(key, '`');
  return key;
}

void env(const Context& context) {
  Facts facts{{"`ferry` version", std::string(kVersion)},
              {"Platform", platform()},
              {"Processor", processor()},
              {"Processor features", processor_features()}};
  add_onnxruntime_facts(context, facts);
  facts.emplace_back("Hugging Face cache", cache_folder(context));
  if (context.json()) {
    nlohmann::ordered_json json;
    for (const auto& [key, value] : facts) json[without_backticks(key)] = value;
    return context.print_json(json);
  }
  context.out() << "\nCopy-and-paste the text below in your GitHub issue:\n\n";
  for (const auto& [key, value] : facts) context.out() << "- " << key << ": " << value << '\n';
}

}  // namespace

void add_env(CLI::App& parent, Context& context) {
  context.command(parent, "env", "Say what a bug report should say", [&context] { env(context); });
}

}  // namespace ferry::cli
