// What the pipeline costs beside the model: question_answering FOLDER
//
// Prints the median of 300 calls each, in turns: ONNX Runtime's run alone, on the inputs that the pipeline
// makes, and the whole pipeline from text to answer.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <vector>

#include "base/error.h"
#include "ferry/pipelines.h"
#include "ort/session.h"

namespace {

template <typename Body>
double microseconds(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void measure(const std::filesystem::path& folder) {
  const ferry::QuestionAnsweringInput input{"What am I using?", "Using DistilBERT with ONNX Runtime!"};
  const ferry::LoadOptions load{.intra_op_threads = 2, .spinning = false};
  const auto qa = ferry::pipeline("question-answering", folder.string(), load);

  const auto tokenizer = ferry::AutoTokenizer::from_pretrained(folder);
  const auto runtime = ferry::ort::Runtime::open();
  ferry::ort::SessionOptions options;
  options.intra_op_threads = 2;
  options.spinning = false;
  const ferry::ort::Session session(runtime, folder / "model.onnx", options);
  const ferry::ModelInputs made = tokenizer(input.question, {.text_pair = input.context});
  std::vector<ferry::ort::NamedTensor> feeds;
  for (const auto& declared : session.inputs())
    feeds.emplace_back(declared.name, made.tensors().at(declared.name));

  std::vector<double> raw, whole;
  for (int turn = 0; turn < 330; ++turn) {
    const double r = microseconds([&] { (void)session.run(feeds); });
    const double w = microseconds([&] { (void)qa(input); });
    if (turn < 30) continue;
    raw.push_back(r);
    whole.push_back(w);
  }
  const double r = median(raw), w = median(whole);
  std::printf("| question answering, pipeline / raw run | 1.05 x + 50 us | %.0f us / %.0f us = %.2f x |\n", w,
              r, w / r);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: question_answering FOLDER\n";
    return 2;
  }
  try {
    measure(argv[1]);
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
