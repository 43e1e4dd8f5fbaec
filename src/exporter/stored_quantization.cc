#include "exporter/stored_quantization.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

namespace ferry::exporter {
namespace {

constexpr std::string_view kPacked = ".qweight";

[[noreturn]] void refuse(const nn::ConfigReader& reader, const std::string& what) {
  throw Error(ErrorCode::unsupported, fmt::format("{}: {}", reader.origin(), what));
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void ignore_all(nn::ConfigReader& reader, std::initializer_list<const char*> keys) {
  for (const char* key : keys) reader.ignore(key);
}

int64_t read_group_size(nn::ConfigReader& reader, std::string_view key) {
  int64_t size = 128;
  reader.read(key, size, -1);
  if (size == 0) reader.fail(key, "-1 or a positive number");
  return size;
}

StoredQuantization read_gptq(nn::ConfigReader& reader) {
  StoredQuantization out{"gptq", {}, false};
  int64_t bits = 4;
  reader.read("bits", bits);
  if (bits != 4 && bits != 8) refuse(reader, fmt::format("GPTQ weights of {} bits; 4 and 8 are read", bits));
  out.format.bits = static_cast<int>(bits);
  out.format.group_size = read_group_size(reader, "group_size");
  reader.read("desc_act", out.needs_g_idx);
  std::string layout = "gptq", packed_in = "int32";
  reader.read("checkpoint_format", layout);
  if (layout != "gptq" && layout != "gptq_v2" && !layout.empty()) {
    refuse(reader, fmt::format("the GPTQ layout \"{}\" is for one kernel alone; gptq and gptq_v2 are read",
                               printable(layout)));
  }
  bool marlin = false;
  reader.read("is_marlin_format", marlin);
  if (marlin) refuse(reader, "the GPTQ layout \"marlin\" is for one kernel alone; gptq and gptq_v2 are read");
  reader.read("pack_dtype", packed_in);
  if (packed_in != "int32")
    refuse(reader, "GPTQ weights in words of " + printable(packed_in) + ", not of int32");
  out.format.zeros_less_one = layout != "gptq_v2";
  reader.must_be_empty("dynamic");
  ignore_all(reader, {"sym",
                      "dataset",
                      "damp_percent",
                      "tokenizer",
                      "true_sequential",
                      "use_cuda_fp16",
                      "model_seqlen",
                      "meta",
                      "block_name_to_quantize",
                      "backend",
                      "batch_size",
                      "module_name_preceding_first_block",
                      "pad_token_id",
                      "use_exllama",
                      "max_input_length",
                      "hyb_act",
                      "exllama_config",
                      "cache_block_outputs",
                      "lm_head",
                      "static_groups",
                      "modules_in_block_to_quantize",
                      "damp_auto_increment",
                      "model_name_or_path",
                      "model_file_base_name",
                      "disable_exllama",
                      "quantizer",
                      "mse",
                      "modules_to_not_convert",
                      "act_group_aware"});
  return out;
}

StoredQuantization read_awq(nn::ConfigReader& reader) {
  StoredQuantization out{"awq", {GroupedFormat::Layout::awq}, false};
  int64_t bits = 4;
  const bool old_names = reader.has("w_bit");
  reader.read(old_names ? "w_bit" : "bits", bits);
  if (bits != 4) refuse(reader, fmt::format("AWQ weights of {} bits; 4 are read", bits));
  out.format.group_size = read_group_size(reader, reader.has("q_group_size") ? "q_group_size" : "group_size");
  std::string version = "gemm", backend = "autoawq";
  reader.read("version", version);
  if (lowered(version) != "gemm")
    refuse(reader, fmt::format("the AWQ layout \"{}\"; gemm is read", printable(version)));
  reader.read("backend", backend);
  if (lowered(backend) != "autoawq")
    refuse(reader, fmt::format("the AWQ packing of \"{}\"; that of autoawq is read", printable(backend)));
  bool zero_point = true;
  reader.read("zero_point", zero_point);
  if (!zero_point) refuse(reader, "AWQ weights without zero points");
  ignore_all(reader, {"do_fuse", "fuse_max_seq_len", "modules_to_fuse", "modules_to_not_convert",
                      "exllama_config", "bits", "group_size"});
  return out;
}

StoredQuantization read_config(nn::ConfigReader& reader, std::string method) {
  reader.read("quant_method", method);
  if (method == "gptq") return read_gptq(reader);
  if (method == "awq") return read_awq(reader);
  throw Error(ErrorCode::unsupported,
              fmt::format("{}: a checkpoint quantized by \"{}\"", reader.origin(), printable(method)))
      .with_hint("gptq and awq are read as they are; --quantize int4 and int8 make integers of floats");
}

}  // namespace

std::optional<StoredQuantization> read_stored_quantization(const ModelSource& source,
                                                           nn::ConfigReader& reader, const Log& log) {
  const auto warn_unknown = [&](const nn::ConfigReader& from) {
    for (const auto& key : from.unknown_keys())
      log.warning(fmt::format("{}: ferry does not know the key {} and takes it to have no effect",
                              from.origin(), printable(key)));
  };
  if (auto nested = reader.object("quantization_config")) {
    if (nested->json().empty()) return std::nullopt;
    auto out = read_config(*nested, "");
    warn_unknown(*nested);
    return out;
  }
  for (const auto& [name, method] :
       {std::pair{"quantize_config.json", "gptq"}, {"quant_config.json", "awq"}}) {
    const auto file = source.folder / name;
    if (!ferry::is_regular_file(file)) continue;
    const auto json = read_json(file);
    nn::ConfigReader own(json, printable(file.string()));
    auto out = read_config(own, method);
    warn_unknown(own);
    return out;
  }
  return std::nullopt;
}

StateDict with_grouped_matrices(const StateDict& state, const StoredQuantization& how) {
  StateDict out{state.origin, state.tensors};
  size_t count = 0;
  for (const auto& tensor : state.tensors) {
    const std::string& name = tensor.first;
    if (!ends_with(name, kPacked)) continue;
    ++count;
    const std::string path = name.substr(0, name.size() - kPacked.size());
    const auto part = [&](const char* what, bool required) -> std::optional<Weight> {
      const auto found = state.tensors.find(path + what);
      if (found != state.tensors.end()) {
        out.tensors.erase(found->first);
        return found->second;
      }
      if (!required) return std::nullopt;
      throw Error(ErrorCode::missing_tensor, fmt::format("{} has \"{}\" and no \"{}{}\"", state.origin,
                                                         printable(name), printable(path), what));
    };
    const auto zeros = part(".qzeros", true), scales = part(".scales", true);
    const auto g_idx = part(".g_idx", how.needs_g_idx);
    out.tensors.erase(name);
    with_context(fmt::format("{}: \"{}\" ({}, {} bits, groups of {})", state.origin, printable(path),
                             how.method, how.format.bits, how.format.group_size),
                 [&] {
                   Weight weight = grouped_matrix({tensor.second, *zeros, *scales, g_idx}, how.format);
                   if (!out.tensors.emplace(path + ".weight", std::move(weight)).second)
                     throw Error(ErrorCode::invalid_file, "there is a \"weight\" beside the \"qweight\"");
                 });
  }
  if (count == 0)
    throw Error(ErrorCode::invalid_file,
                fmt::format("{} has no tensor \"...{}\", and its configuration says it is quantized by {}",
                            state.origin, kPacked, how.method));
  return out;
}

void refuse_packed_tensors(const StateDict& state) {
  for (const auto& [name, weight] : state.tensors) {
    if (!ends_with(name, kPacked)) continue;
    throw Error(
        ErrorCode::unsupported,
        fmt::format("{} holds packed integers (\"{}\"), and config.json has no \"quantization_config\" "
                    "that says how",
                    state.origin, printable(name)))
        .with_hint("a quantize_config.json (AutoGPTQ) or quant_config.json (AutoAWQ) beside it is read, too");
  }
}

void ignore_zero_biases(nn::Build& build) {
  constexpr std::string_view kBias = ".bias";
  for (const auto& [name, bias] : build.state.tensors) {
    if (!ends_with(name, kBias) || build.used.count(name) > 0 || !is_floating(bias.dtype())) continue;
    const auto weight = build.state.tensors.find(name.substr(0, name.size() - kBias.size()) + ".weight");
    if (weight == build.state.tensors.end() || !is_grouped(weight->second)) continue;
    const auto values = bias.as_f32();
    if (std::all_of(values.begin(), values.end(), [](float x) { return x == 0; })) build.used.insert(name);
  }
}

}  // namespace ferry::exporter
