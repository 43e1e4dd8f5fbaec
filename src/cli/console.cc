#include "cli/console.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "base/text.h"

namespace ferry::cli {
namespace {

constexpr auto kRedrawEvery = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(3);
constexpr const char* kRed = "\x1b[31m";
constexpr const char* kYellow = "\x1b[33m";
constexpr const char* kPlain = "\x1b[0m";
constexpr const char* kEraseLine = "\r\x1b[K";
constexpr size_t kLongestLine = 16'000;

uint64_t percent(uint64_t done, uint64_t total) {
  if (total == 0) return 100;
  return static_cast<uint64_t>(100.0 * static_cast<double>(std::min(done, total)) /
                               static_cast<double>(total));
}

std::string amounts(uint64_t done, uint64_t total) {
  return human_bytes(static_cast<double>(done)) + " of " + human_bytes(static_cast<double>(total));
}

}  // namespace

std::string safe_lines(std::string_view text) {
  std::string out;
  bool first = true;
  for (const std::string& line : split(text, '\n')) {
    if (!first) out += '\n';
    first = false;
    bool first_cell = true;
    for (const std::string& cell : split(line, '\t')) {
      if (!first_cell) out += '\t';
      first_cell = false;
      out += printable(cell, kLongestLine);
    }
  }
  return out;
}

std::string progress_bar(std::string_view what, uint64_t done, uint64_t total) {
  constexpr uint64_t kCells = 20;
  const uint64_t filled = percent(done, total) * kCells / 100;
  return fmt::format("{}  [{}{}]  {:3}%  {}", printable(what), std::string(filled, '#'),
                     std::string(kCells - filled, '-'), percent(done, total), amounts(done, total));
}

Log Console::log() {
  Log log;
  log.on_message = [this](LogLevel level, std::string_view text) { message(level, text); };
  log.on_progress = [this](std::string_view what, uint64_t done, uint64_t total) {
    progress(what, done, total);
  };
  return log;
}

void Console::message(LogLevel level, std::string_view text) {
  if (level < options_.least) return;
  switch (level) {
    case LogLevel::debug:
      write("debug: ", text, nullptr);
      return;
    case LogLevel::info:
      write("", text, nullptr);
      return;
    case LogLevel::warning:
      write("warning: ", text, kYellow);
      return;
    case LogLevel::error:
      write("error: ", text, kRed);
      return;
  }
}

void Console::line(std::string_view label, std::string_view text, bool bad) {
  write(label, text, bad ? kRed : nullptr);
}

void Console::write(std::string_view label, std::string_view text, const char* color) {
  const std::lock_guard lock(mutex_);
  clear_bar();
  if (options_.color && color != nullptr) {
    err_ << color << label << kPlain;
  } else {
    err_ << label;
  }
  err_ << safe_lines(text) << '\n';
  err_.flush();
}

void Console::clear_bar() {
  if (bar_shown_) err_ << kEraseLine;
  bar_shown_ = false;
}

void Console::progress(std::string_view what, uint64_t done, uint64_t total) {
  if (!options_.progress) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  if (current_ != what) {
    current_ = what;
    // A line at once would be noise for work that ends soon; a bar goes away again.
    next_ = options_.terminal ? now : now + kLineEvery;
  }
  if (options_.terminal && done >= total) {
    clear_bar();
    err_.flush();
    return;
  }
  if (now < next_) return;
  next_ = now + (options_.terminal ? std::chrono::nanoseconds(kRedrawEvery) : kLineEvery);
  if (options_.terminal) {
    err_ << kEraseLine << progress_bar(what, done, total);
    bar_shown_ = true;
  } else {
    err_ << printable(what) << ": " << percent(done, total) << "% (" << amounts(done, total) << ")\n";
  }
  err_.flush();
}

}  // namespace ferry::cli
