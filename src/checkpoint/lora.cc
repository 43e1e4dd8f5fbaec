#include "checkpoint/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/torch_file.h"
#include "tensor/convert.h"

namespace ferry::checkpoint {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";

// A module's two factors.
struct Pair {
  std::optional<Weight> a, b;
  bool is_embedding = false;
};

// base + scale * left right, all row-major: base [rows, columns], left [rows, rank], right [rank, columns].
class Update {
 public:
  Update(Weight base, Weight left, Weight right, float scale)
      : base_(std::move(base)), left_(std::move(left)), right_(std::move(right)), scale_(scale) {}

  void read(uint64_t first, uint64_t count, std::byte* out) const {
    const auto columns = static_cast<uint64_t>(right_.dims()[1]);
    const std::vector<float> right = right_.as_f32();
    while (count > 0) {
      // Pieces of one row; blocks would save little beside the conversion of `right`.
      const uint64_t row = first / columns, column = first % columns;
      const uint64_t done = std::min(count, columns - column);
      read_row(row, column, done, right, columns, out);
      out += done * bits_of(base_.dtype()) / 8;
      first += done;
      count -= done;
    }
  }

 private:
  void read_row(uint64_t row, uint64_t column, uint64_t count, const std::vector<float>& right,
                uint64_t columns, std::byte* out) const {
    const auto rank = static_cast<uint64_t>(left_.dims()[1]);
    const size_t left_bytes = bits_of(left_.dtype()) / 8;
    std::vector<std::byte> raw(std::max(rank * left_bytes, count * bits_of(base_.dtype()) / 8));
    std::vector<float> left(rank), sum(count, 0.0f), row_floats(count);
    left_.read(row * rank, rank, raw.data());
    to_floats(raw.data(), left_.dtype(), rank, left.data());
    for (uint64_t k = 0; k < rank; ++k) {
      const float factor = left[k];
      const float* from = right.data() + k * columns + column;
      for (uint64_t i = 0; i < count; ++i) sum[i] += factor * from[i];
    }
    base_.read(row * columns + column, count, raw.data());
    to_floats(raw.data(), base_.dtype(), count, row_floats.data());
    for (uint64_t i = 0; i < count; ++i) row_floats[i] += scale_ * sum[i];
    from_floats(row_floats, base_.dtype(), out);
  }

  Weight base_, left_, right_;
  float scale_;
};

class Merger {
 public:
  Merger(TensorMap& base, const std::filesystem::path& folder)
      : base_(base), folder_(folder), config_(read_lora_config(folder)) {}

  std::filesystem::path run() {
    const std::filesystem::path path = weights_file();
    where_ = printable(path.string(), 300);
    const TensorFile file = ends_with(path.string(), ".bin")
                                ? read_torch(file_source(path), path.string())
                                : read_safetensors(file_source(path), path.string());
    std::map<std::string, Pair> pairs;
    for (const auto& [name, weight] : file.tensors) sort_in(name, weight, pairs);
    if (pairs.empty()) throw_invalid(where_, "the adapter holds no lora_A and lora_B");
    for (const auto& [module, pair] : pairs) apply(module, pair);
    return path;
  }

 private:
  std::filesystem::path weights_file() const {
    for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
      if (ferry::is_regular_file(folder_ / name)) return folder_ / name;
    }
    throw Error(ErrorCode::not_found,
                fmt::format("{} holds neither adapter_model.safetensors nor adapter_model.bin",
                            printable(folder_.string(), 300)));
  }

  // "base_model.model.<module>.lora_A.weight" and its like go to `pairs`, whole tensors into the base.
  void sort_in(const std::string& name, const Weight& weight, std::map<std::string, Pair>& pairs) {
    if (!starts_with(name, kPrefix))
      throw_invalid(where_,
                    fmt::format("tensor {} does not begin with {}", in_quotes(name), in_quotes(kPrefix)));
    std::string rest = name.substr(kPrefix.size());
    for (const auto& [suffix, is_a, is_embedding] :
         {std::tuple(".lora_A.weight", true, false), std::tuple(".lora_B.weight", false, false),
          std::tuple(".lora_embedding_A", true, true), std::tuple(".lora_embedding_B", false, true)}) {
      if (!ends_with(rest, suffix)) continue;
      Pair& pair = pairs[rest.substr(0, rest.size() - std::string_view(suffix).size())];
      (is_a ? pair.a : pair.b) = weight;
      pair.is_embedding = is_embedding;
      return;
    }
    if (rest.find("lora_") != std::string::npos || rest.find("trainable_tokens") != std::string::npos) {
      throw Error(ErrorCode::unsupported,
                  fmt::format("{}: tensor {} is a part of an adapter that ferry does not merge", where_,
                              in_quotes(name)));
    }
    for (const std::string_view part : {".modules_to_save", ".base_layer"}) {
      if (const size_t at = rest.find(part); at != std::string::npos) rest.erase(at, part.size());
    }
    replace(rest, weight);
  }

  // The base's name for what the adapter, which was trained on a model with a head or without, calls `name`.
  [[nodiscard]] std::string find_in_base(const std::string& name) const {
    if (base_.find(name) != base_.end()) return name;
    const size_t dot = name.find('.');
    const std::string shorter = dot == std::string::npos ? name : name.substr(dot + 1);
    if (base_.find(shorter) != base_.end()) return shorter;
    std::string found;
    for (const auto& [candidate, weight] : base_) {
      if (!ends_with(candidate, "." + name)) continue;
      if (!found.empty()) return "";
      found = candidate;
    }
    return found;
  }

  void replace(const std::string& name, const Weight& weight) {
    const std::string place = find_in_base(name);
    // A new head has no counterpart in the base.
    if (place.empty()) {
      base_.insert_or_assign(name, weight);
      return;
    }
    const Weight& old = base_.find(place)->second;
    base_.insert_or_assign(place, old.dtype() == weight.dtype() ? weight : weight.cast(old.dtype()));
  }

  // Names in a pattern match the end of a module's name, on a level's boundary; with "^", all of it.
  template <typename T>
  [[nodiscard]] static T matched(const std::vector<std::pair<std::string, T>>& pattern,
                                 const std::string& module, T otherwise) {
    for (const auto& [key, value] : pattern) {
      if (key == "^" + module || key == module || ends_with(module, "." + key)) return value;
    }
    return otherwise;
  }

  void apply(const std::string& module, const Pair& pair) {
    const auto fail = [&](ErrorCode code, const std::string& reason) {
      throw Error(code, fmt::format("{}: module {}: {}", where_, in_quotes(module), reason));
    };
    if (!pair.a || !pair.b) fail(ErrorCode::invalid_file, "lora_A or lora_B is missing");
    const std::string name = find_in_base(module + ".weight");
    if (name.empty())
      fail(ErrorCode::missing_tensor, "the base has no such weight; is it the right base model?");
    const Weight& weight = base_.find(name)->second;
    const Weight a = matrix(*pair.a), b = matrix(*pair.b);
    if (a.dims().size() != 2 || b.dims().size() != 2 || a.dims()[0] != b.dims()[1])
      fail(ErrorCode::shape_mismatch,
           fmt::format("A{} and B{} do not multiply", to_string(pair.a->dims()), to_string(pair.b->dims())));
    const int64_t rank = matched(config_.rank_pattern, module, config_.rank);
    if (a.dims()[0] != rank)
      fail(ErrorCode::shape_mismatch,
           fmt::format("its rank is {}, adapter_config.json says {}", a.dims()[0], rank));
    const bool floats =
        is_floating(weight.dtype()) && can_read_as_float(weight.dtype()) && bits_of(weight.dtype()) >= 16;
    if (!floats)
      fail(ErrorCode::dtype_mismatch, fmt::format("the base's weight is {}", to_string(weight.dtype())));
    base_.insert_or_assign(name, update(module, weight, a, b, pair.is_embedding));
  }

  // A convolution's factors as matrices: [r, in, h, w] -> [r, in h w], [out, r, 1, 1] -> [out, r].
  static Weight matrix(const Weight& factor) {
    const Dims& dims = factor.dims();
    if (dims.size() <= 2 || dims[0] == 0) return factor;
    return factor.reshape({dims[0], static_cast<int64_t>(factor.count()) / dims[0]});
  }

  Weight update(const std::string& module, const Weight& weight, const Weight& a, const Weight& b,
                bool is_embedding) const {
    const int64_t in = a.dims()[1], out = b.dims()[0];
    const int64_t rows = weight.dims().empty() ? 0 : weight.dims()[0];
    const int64_t columns = rows == 0 ? 0 : static_cast<int64_t>(weight.count()) / rows;
    const bool as_stored = rows == out && columns == in, turned = rows == in && columns == out;
    if (!as_stored && !turned) {
      throw Error(ErrorCode::shape_mismatch,
                  fmt::format("{}: module {}: B A is [{}, {}], the base's weight is {}", where_,
                              in_quotes(module), out, in, to_string(weight.dims())));
    }
    // Embeddings and GPT-2's Conv1D store [in, out].
    const bool transposed = turned && (!as_stored || is_embedding || config_.fan_in_fan_out);
    const double alpha = matched(config_.alpha_pattern, module, config_.alpha);
    const auto rank = static_cast<double>(a.dims()[0]);
    const auto scale = static_cast<float>(alpha / (config_.rank_stabilized ? std::sqrt(rank) : rank));
    const Weight left = transposed ? a.transpose() : b;
    const Weight right = transposed ? b.transpose() : a;
    const std::string identity =
        fmt::format("lora({}+{}*{}*{})", weight.key(), scale, left.key(), right.key());
    return Weight::computed(
        weight.dtype(), weight.dims(), identity,
        [update = Update(weight, left, right, scale)](uint64_t first, uint64_t count, std::byte* bytes) {
          update.read(first, count, bytes);
        });
  }

  TensorMap& base_;
  const std::filesystem::path& folder_;
  LoraConfig config_;
  std::string where_;
};

}  // namespace

std::filesystem::path merge_lora(TensorMap& base, const std::filesystem::path& folder) {
  return Merger(base, folder).run();
}

}  // namespace ferry::checkpoint
