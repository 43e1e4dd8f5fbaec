// ferry::main: run() in a process of its own.
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "cli/cli.h"
#include "cli/signals.h"
#include "ferry/main.h"

namespace ferry {

int main(int argc, char** argv) {
  cli::install_signal_handlers();
  std::ios::sync_with_stdio(false);
  const cli::Io io{std::cout, std::cerr, [](const char* name) { return std::getenv(name); },
                   ::isatty(STDERR_FILENO) == 1};
  return cli::run(argc, argv, io);
}

}  // namespace ferry
