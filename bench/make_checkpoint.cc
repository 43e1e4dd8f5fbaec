// bench_make_checkpoint FOLDER HIDDEN LAYERS INTERMEDIATE VOCAB random|sparse
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "support/bert_checkpoint.h"

int main(int argc, char** argv) try {
  if (argc != 7) {
    std::cerr << "usage: bench_make_checkpoint FOLDER HIDDEN LAYERS INTERMEDIATE VOCAB random|sparse\n";
    return 2;
  }
  ferry::testing::BertSize size;
  size.hidden = std::stoll(argv[2]);
  size.heads = size.hidden / 64;
  size.layers = std::stoll(argv[3]);
  size.intermediate = std::stoll(argv[4]);
  size.vocab = std::stoll(argv[5]);
  ferry::testing::write_bert_checkpoint(argv[1], size, std::string(argv[6]) == "sparse");
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_make_checkpoint: " << error.what() << "\n";
  return 1;
}
