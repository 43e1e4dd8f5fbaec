// `ferry hub` alone, for tools/parity/hub.py while one works on the hub layer: ferry_hub_dev hub
// download|ls|scan-cache.
#include <cstdlib>
#include <iostream>

#include "base/error.h"
#include "hub/command.h"

namespace {
using namespace ferry;

hub::HubArguments::Action action_of(std::string_view name) {
  if (name == "download") return hub::HubArguments::Action::download;
  if (name == "ls") return hub::HubArguments::Action::ls;
  if (name == "scan-cache") return hub::HubArguments::Action::scan_cache;
  throw Error(ErrorCode::usage, "hub download|ls|scan-cache");
}

int run(int count, char** words) {
  if (count < 3 || std::string_view(words[1]) != "hub")
    throw Error(ErrorCode::usage, "hub download|ls|scan-cache");
  hub::HubArguments arguments{.action = action_of(words[2])};
  hub::HubOptions options = hub::HubOptions::from_environment(std::getenv);
  options.log.on_message = [](LogLevel, std::string_view text) { std::cerr << text << "\n"; };
  for (int i = 3; i < count; ++i) {
    const std::string_view word = words[i];
    if (word.substr(0, 2) != "--") {
      arguments.model = word;
      continue;
    }
    if (i + 1 == count) throw Error(ErrorCode::usage, "a value is missing");
    const std::string value = words[++i];
    if (word == "--revision") arguments.revision = value;
    if (word == "--include") arguments.include.push_back(value);
    if (word == "--exclude") arguments.exclude.push_back(value);
    if (word == "--cache_dir") options.cache_dir = value;
    if (word == "--token") options.token = value;
  }
  return hub::run_hub(arguments, options, std::cout);
}

}  // namespace

int main(int count, char** words) {
  try {
    return run(count, words);
  } catch (const Error& error) {
    std::cerr << "error[" << to_string(error.code()) << "]: " << error.what() << "\n";
    return error.code() == ErrorCode::usage ? 2 : 1;
  }
}
