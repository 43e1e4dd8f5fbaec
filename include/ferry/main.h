#pragma once
// The program, callable from another one: what `ferry ...` does.

namespace ferry {

/// Runs the command line `argv` and returns the exit code: 0 good, 1 bad input, 2 usage, 3 the numbers of the
/// exported model did not match the reference, 70 a bug of ferry's.
///
/// Takes over the process: standard output and error, the environment, and the handlers of SIGINT, SIGTERM,
/// SIGHUP, SIGBUS, SIGPIPE and SIGXFSZ. Throws nothing. Call it once, from the process's own main.
int main(int argc, char** argv);

}  // namespace ferry
