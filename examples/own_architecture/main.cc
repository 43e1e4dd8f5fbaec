// An architecture of one's own, exported without rebuilding ferry: a classifier over the mean of its word
// embeddings.
//
//   own_architecture CHECKPOINT_FOLDER OUTPUT_FOLDER
//
// The checkpoint is a folder as save_pretrained() leaves it: config.json with "model_type":
// "mean-classifier", and model.safetensors with embeddings.weight, classifier.weight and classifier.bias.
#include <iostream>

#include "base/error.h"
#include "ferry/export.h"
#include "models/registry.h"
#include "nn/layers.h"

namespace {

using namespace ferry::nn;
namespace op = ferry::ir::op;

struct Config {
  explicit Config(ConfigReader& r) {
    r.read("vocab_size", vocab_size);
    r.read("hidden_size", hidden_size);
    num_labels = r.num_labels();
  }
  int64_t vocab_size = 30522;
  int64_t hidden_size = 64;
  int64_t num_labels = 2;
};

// One line a submodule: its name, its key in the checkpoint, its sizes. The call operator is the forward().
struct MeanClassifier : Module<Config> {
  using Module::Module;
  Embedding embeddings{at("embeddings"), c.vocab_size, c.hidden_size};
  Linear classifier{at("classifier"), c.hidden_size, c.num_labels};

  Outputs operator()(const Inputs& in) const {
    const Tensor mask = op::unsqueeze(op::cast(in["attention_mask"], ferry::DType::f32), {2});  // [B, S, 1]
    const Tensor sum = op::reduce("ReduceSum", embeddings(in["input_ids"]) * mask, {1}, false);
    const Tensor count = op::reduce("ReduceSum", mask, {1}, false);
    return {{"logits", classifier(sum / count)}};
  }
};

Architecture mean_classifier() {
  return ArchBuilder<Config>("mean-classifier")
      .inputs([](const Config& c) { return text_inputs({.vocab_size = c.vocab_size}); })
      .task<MeanClassifier>("text-classification", "MeanClassifier");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: own_architecture CHECKPOINT_FOLDER OUTPUT_FOLDER\n";
    return 2;
  }
  auto registry = ferry::models::Registry::builtin();
  registry.add(mean_classifier());
  ferry::Log log;
  log.on_message = [](ferry::LogLevel, std::string_view text) { std::cerr << text << '\n'; };
  ferry::MainExportOptions options;
  options.model = argv[1];
  options.output = argv[2];
  options.task = "text-classification";
  options.log = &log;
  try {
    ferry::main_export(options, registry);
  } catch (const ferry::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
