// ferry hub download|ls|scan-cache.
#include <memory>
#include <utility>

#include "cli/commands.h"
#include "cli/model_flags.h"
#include "hub/command.h"

namespace ferry::cli {
namespace {

struct Flags {
  ModelFlags model;
  hub::HubArguments arguments;
};

void run(Flags& flags, const Context& context) {
  hub::HubArguments& arguments = flags.arguments;
  if (arguments.action != hub::HubArguments::Action::scan_cache) {
    if (flags.model.model.empty())
      throw Error(ErrorCode::usage, "the model is missing").with_hint("org/name");
    arguments.model = flags.model.model;
    if (flags.model.revision != "main") arguments.revision = flags.model.revision;
    arguments.files.subfolder = flags.model.subfolder;
  }
  if (context.json()) not_built_yet("--json of `ferry hub`", "leave it out");
  hub::run_hub(arguments, flags.model.hub_options(context), context.out());
}

std::pair<CLI::App*, std::shared_ptr<Flags>> add(CLI::App& parent, Context& context, const char* name,
                                                 const char* description, hub::HubArguments::Action action) {
  auto flags = std::make_shared<Flags>();
  flags->arguments.action = action;
  CLI::App* app = context.command(parent, name, description, [flags, &context] { run(*flags, context); });
  if (action != hub::HubArguments::Action::scan_cache) {
    app->add_option("model", flags->model.model, "Model on the Hub: org/name, or org/name@revision");
  }
  flags->model.add(*app);
  return {app, flags};
}

}  // namespace

void add_hub(CLI::App& parent, Context& context) {
  using Action = hub::HubArguments::Action;
  CLI::App* group = context.group(parent, "hub", "Models on the Hugging Face Hub, and the cache of them");
  const auto [app, flags] =
      add(*group, context, "download", "Bring a model into the cache; prints its folder", Action::download);
  app->add_option("--include", flags->arguments.include, "Patterns of files (default: what an export needs)");
  app->add_option("--exclude", flags->arguments.exclude, "Patterns of files to leave out");
  app->add_option("--framework", flags->arguments.files.framework, "Whose weights, where there are both")
      ->check(CLI::IsMember({"pt", "tf"}));
  app->add_option("--variant", flags->arguments.files.variant,
                  "Variant of the weights: fp16 takes model.fp16.safetensors");
  add(*group, context, "ls", "List the files of a model", Action::ls);
  add(*group, context, "scan-cache", "List what the cache holds", Action::scan_cache);
}

}  // namespace ferry::cli
