#include "cli/model_flags.h"

namespace ferry::cli {

void ModelFlags::add(CLI::App& app) {
  const char* group = "Hugging Face Hub";
  app.add_option("--revision", revision, "Branch, tag or commit")->group(group)->capture_default_str();
  app.add_option("--subfolder", subfolder, "Folder within the model that holds the checkpoint")->group(group);
  app.add_option("--cache_dir", cache_dir,
                 "Folder that downloads are kept in (default: as HF_HUB_CACHE, HF_HOME say)")
      ->group(group);
  app.add_option("--token", token,
                 "Access token; better given as HF_TOKEN, which other users of the machine cannot see")
      ->group(group);
  app.add_flag("--offline", offline, "Make no request: the cache answers or nothing does")->group(group);
}

hub::HubOptions ModelFlags::hub_options(const Context& context) const {
  hub::HubOptions options = hub::HubOptions::from_environment(context.environment());
  if (!cache_dir.empty()) options.cache_dir = cache_dir;
  if (!token.empty()) options.token = hub::clean_token(token);
  if (offline) options.offline = true;
  options.log = context.log();
  return options;
}

void ModelFlags::apply(const Context& context, MainExportOptions& options) const {
  options.model = model;
  options.revision = revision;
  options.subfolder = subfolder;
  options.log = &context.log();
  options.onnxruntime = context.variable("FERRY_ONNXRUNTIME");
  options.cache_dir = cache_dir;
  options.token = token;
  options.offline = offline;
  options.environment = context.environment();
}

}  // namespace ferry::cli
