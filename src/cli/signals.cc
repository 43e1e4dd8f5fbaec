// Everything in the handlers is async-signal-safe: system calls, and memory that is there already.
#include "cli/signals.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/temporary_files.h"
#include "cli/cli.h"

namespace ferry::cli {
namespace {

void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<size_t>(written));
  }
}

void end_by_signal(int signal) {
  remove_all_temporaries();
  if (::isatty(STDERR_FILENO) == 1) say("\n");  // Past a progress bar.
  // The handler was reset when it was called, so this ends the process as the sender expects.
  ::raise(signal);
}

// Reads /proc/self/maps line by line.
class MapLines {
 public:
  MapLines() : descriptor_(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}
  ~MapLines() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  MapLines(const MapLines&) = delete;
  MapLines& operator=(const MapLines&) = delete;

  // The next line without its end; false after the last. Lines longer than the buffer are cut.
  bool next(std::string_view& line) {
    size_t length = 0;
    char c = 0;
    while (::read(descriptor_, &c, 1) == 1 && c != '\n') {
      if (length < line_.size()) line_[length++] = c;
    }
    line = {line_.data(), length};
    return c == '\n';
  }

 private:
  int descriptor_;
  std::array<char, 4096> line_{};
};

uintptr_t parse_hex(std::string_view& text) {
  uintptr_t value = 0;
  while (!text.empty()) {
    const char c = text.front();
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) break;
    value = value * 16 + static_cast<uintptr_t>(digit ? c - '0' : c - 'a' + 10);
    text.remove_prefix(1);
  }
  return value;
}

// Prints the file that is mapped at `address`; false if none is.
bool say_file_mapped_at(uintptr_t address) {
  MapLines lines;
  std::string_view line;
  while (lines.next(line)) {
    const uintptr_t begin = parse_hex(line);
    if (line.empty()) continue;
    line.remove_prefix(1);
    const uintptr_t end = parse_hex(line);
    const size_t path = line.find('/');
    if (address < begin || address >= end || path == std::string_view::npos) continue;
    say("error[io]: ");
    for (const char& c : line.substr(path)) say(c >= 0x20 && c != 0x7F ? std::string_view(&c, 1) : "?");
    say(" could not be read any more: it was shortened while in use, or its disk fails\n");
    return true;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  remove_all_temporaries();
  if (say_file_mapped_at(reinterpret_cast<uintptr_t>(info->si_addr))) ::_exit(kExitBadInput);
  ::raise(signal);
}

}  // namespace

void install_signal_handlers() {
  struct sigaction action {};
  action.sa_handler = end_by_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    // `nohup ferry ...` and background jobs of a plain shell have asked for some of them to be ignored.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
  }
  struct sigaction bus {};
  bus.sa_sigaction = on_bus_error;
  bus.sa_flags = static_cast<int>(SA_SIGINFO | SA_RESETHAND | SA_NODEFER);
  ::sigaction(SIGBUS, &bus, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace ferry::cli
