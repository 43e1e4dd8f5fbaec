// The two parts of a pipeline by hand: model_and_tokenizer CHECKPOINT OUTPUT_FOLDER
//
// Exports a question answering checkpoint, saves it with its tokenizer, and prints the logits' best places.
#include <algorithm>
#include <iostream>

#include "base/error.h"
#include "ferry/modeling.h"
#include "ferry/tokenizer.h"

namespace {

size_t best(const ferry::HostTensor& logits) {
  const auto values = logits.as<float>();
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: model_and_tokenizer CHECKPOINT OUTPUT_FOLDER\n";
    return 2;
  }
  try {
    const auto model = ferry::ORTModelForQuestionAnswering::from_pretrained(argv[1], {.export_model = true});
    const auto tokenizer = ferry::AutoTokenizer::from_pretrained(argv[1]);
    model.save_pretrained(argv[2]);
    tokenizer.save_pretrained(argv[2]);

    const auto inputs = tokenizer("What am I using?", {.text_pair = "Using DistilBERT with ONNX Runtime!"});
    const auto outputs = model(inputs);
    const auto& ids = inputs.encodings[0].ids;
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(best(outputs.start_logits));
    const auto end = ids.begin() + static_cast<std::ptrdiff_t>(best(outputs.end_logits)) + 1;
    if (begin < end) std::cout << tokenizer.decode(std::vector<uint32_t>(begin, end)) << '\n';
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
