#include "support/bert_checkpoint.h"

#include <fmt/format.h>

#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace ferry::testing {
namespace {

struct Entry {
  std::string name;
  std::vector<int64_t> shape;
  [[nodiscard]] int64_t elements() const {
    int64_t count = 1;
    for (const int64_t dim : shape) count *= dim;
    return count;
  }
};

void add_linear(std::vector<Entry>& out, const std::string& name, int64_t from, int64_t to) {
  out.push_back({name + ".weight", {to, from}});
  out.push_back({name + ".bias", {to}});
}

void add_layer_norm(std::vector<Entry>& out, const std::string& name, int64_t size) {
  out.push_back({name + ".weight", {size}});
  out.push_back({name + ".bias", {size}});
}

std::vector<Entry> entries(const BertSize& s) {
  std::vector<Entry> out;
  const std::string embeddings = "bert.embeddings.";
  out.push_back({embeddings + "word_embeddings.weight", {s.vocab, s.hidden}});
  out.push_back({embeddings + "position_embeddings.weight", {s.positions, s.hidden}});
  out.push_back({embeddings + "token_type_embeddings.weight", {2, s.hidden}});
  add_layer_norm(out, embeddings + "LayerNorm", s.hidden);
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string layer = fmt::format("bert.encoder.layer.{}.", i);
    for (const char* part : {"query", "key", "value"}) {
      add_linear(out, layer + "attention.self." + part, s.hidden, s.hidden);
    }
    add_linear(out, layer + "attention.output.dense", s.hidden, s.hidden);
    add_layer_norm(out, layer + "attention.output.LayerNorm", s.hidden);
    add_linear(out, layer + "intermediate.dense", s.hidden, s.intermediate);
    add_linear(out, layer + "output.dense", s.intermediate, s.hidden);
    add_layer_norm(out, layer + "output.LayerNorm", s.hidden);
  }
  add_linear(out, "bert.pooler.dense", s.hidden, s.hidden);
  add_linear(out, "classifier", s.hidden, 2);
  return out;
}

std::string header(const std::vector<Entry>& all) {
  std::string json = "{";
  int64_t offset = 0;
  for (const Entry& entry : all) {
    const int64_t end = offset + entry.elements() * 4;
    json += fmt::format("{}\"{}\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        offset == 0 ? "" : ",", entry.name, fmt::join(entry.shape, ","), offset, end);
    offset = end;
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  return json;
}

// xorshift: quick, and the same everywhere.
class Random {
 public:
  float uniform() {  // In [-1, 1).
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<float>(static_cast<int32_t>(state_ >> 32)) * 0x1p-31f;
  }

 private:
  uint64_t state_ = 0x9E3779B97F4A7C15u;
};

void write_random(std::ofstream& out, const std::vector<Entry>& all) {
  Random random;
  std::vector<float> values;
  for (const Entry& entry : all) {
    const bool norm = entry.name.find("LayerNorm.weight") != std::string::npos;
    values.resize(static_cast<size_t>(entry.elements()));
    for (float& value : values) value = (norm ? 1.0f : 0.0f) + 0.05f * random.uniform();
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * 4));
  }
}

}  // namespace

void write_bert_checkpoint(const std::filesystem::path& folder, const BertSize& size, bool sparse) {
  std::filesystem::create_directories(folder);
  std::ofstream config(folder / "config.json");
  config << fmt::format(
      R"({{"architectures": ["BertForSequenceClassification"], "model_type": "bert", "hidden_act": "gelu",
 "hidden_size": {}, "num_hidden_layers": {}, "num_attention_heads": {}, "intermediate_size": {}, "vocab_size": {},
 "max_position_embeddings": {}, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0}}
)",
      size.hidden, size.layers, size.heads, size.intermediate, size.vocab, size.positions);
  const auto all = entries(size);
  const std::string json = header(all);
  const uint64_t length = json.size();
  const auto file = folder / "model.safetensors";
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(&length), 8);
  out << json;
  if (!sparse) write_random(out, all);
  out.close();
  if (!out || !config.flush()) throw std::runtime_error("cannot write " + file.string());
  if (sparse) {
    uint64_t total = 8 + length;
    for (const Entry& entry : all) total += static_cast<uint64_t>(entry.elements()) * 4;
    std::filesystem::resize_file(file, total);
  }
}

}  // namespace ferry::testing
