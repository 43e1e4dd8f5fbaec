#include "ort/session.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/file.h"
#include "base/text.h"
#include "ort/api.h"
#include "ort/session_impl.h"

namespace ferry::ort {
namespace {

GraphOptimizationLevel optimization_level(GraphOptimization level) {
  switch (level) {
    case GraphOptimization::none:
      return ORT_DISABLE_ALL;
    case GraphOptimization::basic:
      return ORT_ENABLE_BASIC;
    case GraphOptimization::extended:
      return ORT_ENABLE_EXTENDED;
    default:
      return ORT_ENABLE_ALL;
  }
}

// The long names that everybody uses, and what AppendExecutionProvider calls them.
std::string short_name(const std::string& provider) {
  constexpr std::string_view kSuffix = "ExecutionProvider";
  const bool is_long = provider.size() > kSuffix.size() && ends_with(provider, kSuffix);
  return is_long ? provider.substr(0, provider.size() - kSuffix.size()) : provider;
}

std::vector<const char*> texts_of(const std::vector<std::string>& strings) {
  std::vector<const char*> out;
  for (const auto& text : strings) out.push_back(text.c_str());
  return out;
}

void append_cuda(Ort::SessionOptions& to, const std::vector<const char*>& keys,
                 const std::vector<const char*>& values) {
  const OrtApi& api = Ort::GetApi();
  OrtCUDAProviderOptionsV2* options = nullptr;
  Ort::ThrowOnError(api.CreateCUDAProviderOptions(&options));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, decltype(api.ReleaseCUDAProviderOptions)> owner(
      options, api.ReleaseCUDAProviderOptions);
  Ort::ThrowOnError(api.UpdateCUDAProviderOptions(options, keys.data(), values.data(), keys.size()));
  to.AppendExecutionProvider_CUDA_V2(*options);
}

void append_tensorrt(Ort::SessionOptions& to, const std::vector<const char*>& keys,
                     const std::vector<const char*>& values) {
  const OrtApi& api = Ort::GetApi();
  OrtTensorRTProviderOptionsV2* options = nullptr;
  Ort::ThrowOnError(api.CreateTensorRTProviderOptions(&options));
  const std::unique_ptr<OrtTensorRTProviderOptionsV2, decltype(api.ReleaseTensorRTProviderOptions)> owner(
      options, api.ReleaseTensorRTProviderOptions);
  Ort::ThrowOnError(api.UpdateTensorRTProviderOptions(options, keys.data(), values.data(), keys.size()));
  to.AppendExecutionProvider_TensorRT_V2(*options);
}

void append_provider(Ort::SessionOptions& to, const Runtime& runtime, const Provider& provider) {
  const std::string name = short_name(provider.name);
  if (name == "CPU") return;
  const auto available = runtime.available_providers();
  if (std::find(available.begin(), available.end(), name + "ExecutionProvider") == available.end()) {
    throw Error(ErrorCode::unsupported,
                fmt::format("{} has no {}", runtime.library().string(), provider.name))
        .with_hint("it has " + join(available));
  }
  std::vector<std::string> keys, values;
  for (const auto& [key, value] : provider.options) {
    keys.push_back(key);
    values.push_back(value);
  }
  if (name == "CUDA") return append_cuda(to, texts_of(keys), texts_of(values));
  if (name == "Tensorrt") return append_tensorrt(to, texts_of(keys), texts_of(values));
  std::unordered_map<std::string, std::string> options(provider.options.begin(), provider.options.end());
  if (name == "OpenVINO") {
    to.AppendExecutionProvider_OpenVINO_V2(options);
  } else {
    to.AppendExecutionProvider(name, options);
  }
}

Ort::SessionOptions native_options(const Runtime& runtime, const SessionOptions& options) {
  Ort::SessionOptions out;
  out.SetGraphOptimizationLevel(optimization_level(options.graph_optimization));
  out.SetIntraOpNumThreads(options.intra_op_threads);
  out.SetInterOpNumThreads(options.inter_op_threads);
  out.SetExecutionMode(options.inter_op_threads > 1 ? ORT_PARALLEL : ORT_SEQUENTIAL);
  out.SetLogSeverityLevel(logging_level(options.severity));
  if (!options.memory_pattern) out.DisableMemPattern();
  if (!options.cpu_arena) {
    out.DisableCpuMemArena();
    out.AddConfigEntry("session.use_env_allocators", "1");
  }
  if (!options.optimized_model_path.empty())
    out.SetOptimizedModelFilePath(options.optimized_model_path.c_str());
  const char* spinning = options.spinning ? "1" : "0";
  out.AddConfigEntry("session.intra_op.allow_spinning", spinning);
  out.AddConfigEntry("session.inter_op.allow_spinning", spinning);
  for (const auto& [key, value] : options.config) out.AddConfigEntry(key.c_str(), value.c_str());
  for (const Provider& provider : options.providers) append_provider(out, runtime, provider);
  return out;
}

ValueInfo value_info(std::string name, const Ort::TypeInfo& type) {
  ValueInfo out;
  out.name = std::move(name);
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) return out;
  const auto info = type.GetTensorTypeAndShapeInfo();
  out.dtype = dtype_from_onnx(info.GetElementType());
  const auto sizes = info.GetShape();
  std::vector<const char*> symbols(sizes.size(), nullptr);
  Ort::ThrowOnError(Ort::GetApi().GetSymbolicDimensions(info, symbols.data(), symbols.size()));
  for (size_t i = 0; i < sizes.size(); ++i) {
    Axis axis{sizes[i], {}};
    if (sizes[i] < 0 && symbols[i] != nullptr) axis.symbol = symbols[i];
    out.axes.push_back(std::move(axis));
  }
  return out;
}

void read_signature(Session::Impl& impl) {
  Ort::AllocatorWithDefaultOptions allocator;
  for (size_t i = 0; i < impl.session.GetInputCount(); ++i) {
    impl.inputs.push_back(
        value_info(impl.session.GetInputNameAllocated(i, allocator).get(), impl.session.GetInputTypeInfo(i)));
  }
  for (size_t i = 0; i < impl.session.GetOutputCount(); ++i) {
    impl.outputs.push_back(value_info(impl.session.GetOutputNameAllocated(i, allocator).get(),
                                      impl.session.GetOutputTypeInfo(i)));
  }
}

// ONNX Runtime's own check does not name the dtypes in words, and stops at names of internal nodes.
void check_feeds(const Session::Impl& impl, std::span<const Session::Feed> feeds) {
  for (const auto& feed : feeds) {
    check_internal(feed.tensor != nullptr && *feed.tensor, "an input without a tensor");
    check_fits(find_value(impl.inputs, feed.name, "input"), feed.tensor->dtype(), feed.tensor->dims(),
               "input");
  }
  for (const ValueInfo& info : impl.inputs) {
    const bool given = std::any_of(feeds.begin(), feeds.end(),
                                   [&](const Session::Feed& feed) { return feed.name == info.name; });
    if (!given) {
      throw Error(ErrorCode::not_found, fmt::format("the model's input {} ({}) was not given",
                                                    printable(info.name), describe(info)));
    }
  }
}

}  // namespace

std::string describe(const ValueInfo& info) {
  std::vector<std::string> axes;
  for (const Axis& axis : info.axes)
    axes.push_back(axis.size >= 0 ? std::to_string(axis.size) : axis.symbol.empty() ? "?" : axis.symbol);
  return fmt::format("{}[{}]", to_string(info.dtype), join(axes));
}

const ValueInfo& find_value(const std::vector<ValueInfo>& infos, std::string_view name,
                            std::string_view kind) {
  const auto found =
      std::find_if(infos.begin(), infos.end(), [&](const ValueInfo& info) { return info.name == name; });
  if (found != infos.end()) return *found;
  std::vector<std::string> names;
  for (const ValueInfo& info : infos) names.push_back(info.name);
  throw Error(ErrorCode::not_found, fmt::format("the model has no {} {}", kind, printable(name)))
      .with_hint("it has " + join(names));
}

void check_fits(const ValueInfo& info, DType dtype, const Dims& dims, std::string_view kind) {
  if (info.dtype != DType::undefined && dtype != info.dtype) {
    throw Error(ErrorCode::dtype_mismatch, fmt::format("{} {} is {}, not {}{}", kind, printable(info.name),
                                                       describe(info), to_string(dtype), to_string(dims)));
  }
  // A rank of zero may also be one that the model does not declare.
  bool fits = info.axes.empty() || info.axes.size() == dims.size();
  for (size_t i = 0; fits && i < info.axes.size(); ++i)
    fits = info.axes[i].size < 0 || info.axes[i].size == dims[i];
  if (!fits) {
    throw Error(ErrorCode::shape_mismatch, fmt::format("{} {} is {}, not {}{}", kind, printable(info.name),
                                                       describe(info), to_string(dtype), to_string(dims)));
  }
}

Session::Session(const Runtime& runtime, const std::filesystem::path& model, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(runtime)) {
  // Tells a missing file from a broken one.
  File::open(model);
  guarded(fmt::format("loading {}", printable(model.string())), [&] {
    impl_->session = Ort::Session(runtime.impl()->env, model.c_str(), native_options(runtime, options));
    read_signature(*impl_);
  });
}

Session::Session(const Runtime& runtime, std::span<const std::byte> model, const SessionOptions& options)
    : impl_(std::make_unique<Impl>(runtime)) {
  guarded("loading a model", [&] {
    impl_->session =
        Ort::Session(runtime.impl()->env, model.data(), model.size(), native_options(runtime, options));
    read_signature(*impl_);
  });
}

Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

const std::vector<ValueInfo>& Session::inputs() const {
  return impl_->inputs;
}
const std::vector<ValueInfo>& Session::outputs() const {
  return impl_->outputs;
}
const Runtime& Session::runtime() const {
  return impl_->runtime;
}

std::map<std::string, std::string> Session::metadata() const {
  return guarded("reading a model's metadata", [&] {
    Ort::AllocatorWithDefaultOptions allocator;
    const Ort::ModelMetadata metadata = impl_->session.GetModelMetadata();
    std::map<std::string, std::string> out;
    for (const auto& key : metadata.GetCustomMetadataMapKeysAllocated(allocator)) {
      out[key.get()] = metadata.LookupCustomMetadataMapAllocated(key.get(), allocator).get();
    }
    return out;
  });
}

std::vector<OrtTensor> Session::run(std::span<const Feed> feeds,
                                    const std::vector<std::string>& wanted) const {
  check_feeds(*impl_, feeds);
  std::vector<std::string> output_names = wanted;
  for (const auto& name : wanted) find_value(impl_->outputs, name, "output");
  if (wanted.empty()) {
    for (const ValueInfo& info : impl_->outputs) output_names.push_back(info.name);
  }
  std::vector<std::string> input_names;
  std::vector<const OrtValue*> values;
  for (const Feed& feed : feeds) {
    input_names.emplace_back(feed.name);
    values.push_back(feed.tensor->handle());
  }
  std::vector<OrtValue*> results(output_names.size(), nullptr);
  guarded("running a model", [&] {
    Ort::ThrowOnError(Ort::GetApi().Run(impl_->session, nullptr, texts_of(input_names).data(), values.data(),
                                        values.size(), texts_of(output_names).data(), output_names.size(),
                                        results.data()));
  });
  std::vector<OrtTensor> out;
  for (OrtValue*& result : results) out.push_back(OrtTensor::adopt(impl_->runtime, result));
  return out;
}

std::vector<HostTensor> Session::run(std::span<const NamedTensor> inputs,
                                     const std::vector<std::string>& wanted) const {
  std::vector<OrtTensor> views;
  for (const auto& [name, tensor] : inputs) views.push_back(OrtTensor::view(impl_->runtime, tensor));
  std::vector<Feed> feeds;
  for (size_t i = 0; i < inputs.size(); ++i) feeds.push_back({inputs[i].first, &views[i]});
  std::vector<HostTensor> out;
  for (const OrtTensor& result : run(feeds, wanted)) out.push_back(result.to_host());
  return out;
}

std::vector<HostTensor> Session::run(const std::map<std::string, HostTensor>& inputs,
                                     const std::vector<std::string>& wanted) const {
  std::vector<OrtTensor> views;
  for (const auto& [name, tensor] : inputs) views.push_back(OrtTensor::view(impl_->runtime, tensor));
  std::vector<Feed> feeds;
  for (const auto& [name, tensor] : inputs) feeds.push_back({name, &views[feeds.size()]});
  std::vector<HostTensor> out;
  for (const OrtTensor& result : run(feeds, wanted)) out.push_back(result.to_host());
  return out;
}

}  // namespace ferry::ort
