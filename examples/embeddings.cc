// Sentence embeddings and their cosine: embeddings FOLDER TEXT TEXT
//
// FOLDER is a sentence-transformers export; of another encoder the first token's vector is compared.
#include <array>
#include <cmath>
#include <iostream>

#include "base/error.h"
#include "ferry/pipelines.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: embeddings FOLDER TEXT TEXT\n";
    return 2;
  }
  try {
    auto model = ferry::ORTModelForFeatureExtraction::from_pretrained(argv[1]);
    auto tokenizer = ferry::AutoTokenizer::from_pretrained(model.folder());
    const ferry::FeatureExtractionPipeline embed(std::move(tokenizer), std::move(model));
    const std::array<std::string, 2> texts = {argv[2], argv[3]};
    const ferry::HostTensor features = embed(texts);  // [2, D] or [2, S, H]
    const auto width = static_cast<size_t>(features.dims.back());
    const auto values = features.as<float>();
    const auto a = values.first(width);
    const auto b = values.subspan(values.size() / 2, width);
    double dot = 0, length_a = 0, length_b = 0;
    for (size_t i = 0; i < width; ++i) {
      dot += a[i] * b[i];
      length_a += a[i] * a[i];
      length_b += b[i] * b[i];
    }
    std::cout << "cosine " << dot / std::sqrt(length_a * length_b) << '\n';
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
