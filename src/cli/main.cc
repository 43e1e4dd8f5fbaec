#include "ferry/main.h"

int main(int argc, char** argv) {
  return ferry::main(argc, argv);
}
