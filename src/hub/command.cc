#include "hub/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ostream>

#include "base/error.h"
#include "base/text.h"
#include "hub/hub.h"
#include "hub/scan_cache.h"

namespace ferry::hub {
namespace {

int download(const HubArguments& arguments, const HubOptions& options, std::ostream& out) {
  const ModelId id = parse_model_id(arguments.model, arguments.revision);
  const Hub hub(options);
  std::filesystem::path folder;
  if (arguments.include.empty() && arguments.exclude.empty()) {
    folder = hub.download_for_export(id.repo_id, id.revision, arguments.files);
  } else {
    const auto filter = [&](const std::vector<RepoSibling>& siblings) {
      std::vector<std::string> names;
      if (arguments.include.empty()) names = export_files(siblings, arguments.files);
      for (const auto& sibling : siblings) {
        if (matches_any(sibling.rfilename, arguments.include)) names.push_back(sibling.rfilename);
      }
      std::erase_if(names, [&](const std::string& name) { return matches_any(name, arguments.exclude); });
      if (names.empty()) {
        throw Error(ErrorCode::not_found,
                    fmt::format("no file of {} matches {}", id.repo_id, join(arguments.include)))
            .with_hint("`ferry hub ls` shows its files");
      }
      return names;
    };
    folder = hub.snapshot_download(id.repo_id, id.revision, filter);
  }
  out << folder.string() << "\n";
  return 0;
}

int ls(const HubArguments& arguments, const HubOptions& options, std::ostream& out) {
  const ModelId id = parse_model_id(arguments.model, arguments.revision);
  auto siblings = Hub(options).list_repo_files(id.repo_id, id.revision);
  std::sort(siblings.begin(), siblings.end(),
            [](const auto& a, const auto& b) { return a.rfilename < b.rfilename; });
  for (const auto& sibling : siblings) {
    const std::string size = sibling.size ? human_bytes(static_cast<double>(*sibling.size)) : "-";
    out << fmt::format("{:>8}  {}\n", size, printable(sibling.rfilename, 1024));
  }
  return 0;
}

int scan(const HubOptions& options, std::ostream& out) {
  const HFCacheInfo info = scan_cache_dir(options.cache_dir);
  std::vector<std::array<std::string, 6>> rows{
      {"REPO ID", "REPO TYPE", "SIZE ON DISK", "NB FILES", "REFS", "LOCAL PATH"}};
  for (const auto& repo : info.repos) {
    std::vector<std::string> refs;
    for (const auto& revision : repo.revisions)
      refs.insert(refs.end(), revision.refs.begin(), revision.refs.end());
    std::sort(refs.begin(), refs.end());
    for (auto& ref : refs) ref = printable(ref, 80);
    rows.push_back({printable(repo.repo_id), repo.repo_type,
                    human_bytes(static_cast<double>(repo.size_on_disk)), std::to_string(repo.nb_files),
                    join(refs), printable(repo.repo_path.string())});
  }
  std::array<size_t, 6> widths{};
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths.at(i) = std::max(widths.at(i), row.at(i).size());
  }
  for (const auto& row : rows) {
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      const bool is_number = i == 2 || i == 3;
      out << (is_number ? fmt::format("{:>{}} ", row.at(i), widths.at(i))
                        : fmt::format("{:<{}} ", row.at(i), widths.at(i)));
    }
    out << row.back() << "\n";
  }
  out << fmt::format("\n{} repositories, {}\n", info.repos.size(),
                     human_bytes(static_cast<double>(info.size_on_disk)));
  for (const auto& warning : info.warnings) options.log.warning(warning);
  return 0;
}

}  // namespace

int run_hub(const HubArguments& arguments, const HubOptions& options, std::ostream& out) {
  switch (arguments.action) {
    case HubArguments::Action::download:
      return download(arguments, options, out);
    case HubArguments::Action::ls:
      return ls(arguments, options, out);
    case HubArguments::Action::scan_cache:
      return scan(options, out);
  }
  return 1;
}

}  // namespace ferry::hub
