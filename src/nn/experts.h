#pragma once
// A mixture of experts: every token goes through the few feed-forward networks that a router picks for it.
#include <string>
#include <string_view>
#include <vector>

#include "nn/layers.h"

namespace ferry::nn {

struct ExpertsOptions {
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t count = 0;
  int64_t per_token = 0;
  bool normalize = true;  ///< Whether the weights of a token's experts add up to 1.
  std::string activation = "silu";
  /// Names of the matrices of one expert, as transformers 4 stores them: "experts.0.gate_proj.weight", ...
  /// What transformers 5 stores, "experts.gate_up_proj" and "experts.down_proj" of all, is taken as well.
  std::string_view gate = "gate_proj", up = "up_proj", down = "down_proj";
};

/// Router at "gate", experts at "experts": y = sum over a token's experts of weight * down(act(gate(x)) *
/// up(x)). Each expert computes its own tokens alone, so the graph costs what the chosen experts cost.
class Experts {
 public:
  Experts(const Scope& scope, const ExpertsOptions& options);
  /// [B, S, H] -> [B, S, H]
  Tensor operator()(const Tensor& x) const;

 private:
  struct Expert {
    Tensor gate, up, down;  // [in, out]
  };
  [[nodiscard]] Expert stored(int64_t index) const;
  [[nodiscard]] Tensor run(const Expert& expert, const Tensor& x) const;
  [[nodiscard]] Tensor through_experts(const Tensor& x, const Tensor& chosen) const;

  Scope scope_;
  ExpertsOptions options_;
  Linear router_;
  std::vector<Expert> experts_;
};

}  // namespace ferry::nn
