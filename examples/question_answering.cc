// Text in, answer out: question_answering FOLDER QUESTION CONTEXT
//
// FOLDER is an exported model or a checkpoint, which is then exported first.
#include <iostream>

#include "base/error.h"
#include "ferry/pipelines.h"

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: question_answering FOLDER QUESTION CONTEXT\n";
    return 2;
  }
  try {
    const auto qa = ferry::pipeline("question-answering", argv[1]);
    const auto answer = qa({.question = argv[2], .context = argv[3]});
    std::cout << answer.text << " (" << answer.score << ", characters " << answer.start << " to "
              << answer.end << ")\n";
  } catch (const ferry::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
