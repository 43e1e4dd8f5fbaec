#include "hub/scan_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace ferry::hub {
namespace {
namespace fs = std::filesystem;

constexpr uint64_t kLongestRef = 4096;

// Why a repository is left out.
[[noreturn]] void damaged(std::string_view why, const fs::path& path) {
  throw Error(ErrorCode::invalid_file, fmt::format("{}: {}", why, printable(path.string())));
}

bool is_ignored(const fs::path& path) {
  return path.filename() == ".DS_Store";
}

// Commit -> names, from the files below refs/.
std::map<std::string, std::vector<std::string>> read_refs(const fs::path& folder) {
  std::map<std::string, std::vector<std::string>> out;
  std::error_code failure;
  if (!fs::exists(folder, failure)) return out;
  if (!fs::is_directory(folder, failure)) damaged("refs is not a folder", folder);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory() || is_ignored(entry.path())) continue;
    std::string commit = read_text(entry.path(), kLongestRef);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
    out[commit].push_back(entry.path().lexically_relative(folder).string());
  }
  for (auto& [commit, names] : out) std::sort(names.begin(), names.end());
  return out;
}

struct Content {
  uint64_t size = 0;
  std::time_t modified = 0;
};
using Contents = std::map<std::pair<dev_t, ino_t>, Content>;

CachedRevisionInfo scan_revision(const fs::path& folder, Contents& contents) {
  CachedRevisionInfo revision{folder.filename().string(), folder, {}, 0, 0};
  Contents own;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory() && !entry.is_symlink()) continue;
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) != 0) damaged("blob missing (broken link)", entry.path());
    if (!S_ISREG(status.st_mode)) continue;
    own[{status.st_dev, status.st_ino}] = {static_cast<uint64_t>(status.st_size), status.st_mtime};
    ++revision.nb_files;
  }
  for (const auto& [key, content] : own) {
    revision.size_on_disk += content.size;
    contents[key] = content;
  }
  return revision;
}

// "org--name" -> "org/name".
std::string repo_id_of(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool dashes = name.substr(i, 2) == "--";
    out += dashes ? '/' : name[i];
    if (dashes) ++i;
  }
  return out;
}

CachedRepoInfo scan_repo(const fs::path& folder) {
  if (!fs::is_directory(folder)) damaged("not a folder", folder);
  const std::string name = folder.filename().string();
  const size_t dashes = name.find("--");
  CachedRepoInfo repo;
  repo.repo_path = folder;
  repo.repo_type = name.substr(0, dashes);
  if (repo.repo_type != "models" && repo.repo_type != "datasets" && repo.repo_type != "spaces") {
    damaged("not a folder of the Hub's cache", folder);
  }
  repo.repo_type.pop_back();
  repo.repo_id = repo_id_of(std::string_view(name).substr(dashes + 2));
  if (!fs::is_directory(folder / "snapshots")) damaged("there is no folder \"snapshots\"", folder);
  auto refs = read_refs(folder / "refs");
  Contents contents;
  for (const auto& entry : fs::directory_iterator(folder / "snapshots")) {
    if (is_ignored(entry.path())) continue;
    if (!entry.is_directory()) damaged("a file among the snapshots", entry.path());
    repo.revisions.push_back(scan_revision(entry.path(), contents));
    if (const auto found = refs.find(repo.revisions.back().commit_hash); found != refs.end()) {
      repo.revisions.back().refs = found->second;
      refs.erase(found);
    }
  }
  if (!refs.empty())
    damaged(fmt::format("refs/{} names a commit that is not there", printable(refs.begin()->second.front())),
            folder);
  std::sort(repo.revisions.begin(), repo.revisions.end(),
            [](const auto& a, const auto& b) { return a.commit_hash < b.commit_hash; });
  repo.nb_files = contents.size();
  for (const auto& [key, content] : contents) {
    repo.size_on_disk += content.size;
    repo.last_modified = std::max(repo.last_modified, content.modified);
  }
  return repo;
}

}  // namespace

HFCacheInfo scan_cache_dir(const fs::path& cache_dir) {
  std::error_code failure;
  if (!fs::is_directory(cache_dir, failure)) {
    throw Error(ErrorCode::not_found,
                fmt::format("there is no cache folder {}", printable(cache_dir.string())))
        .with_hint("HF_HUB_CACHE or --cache_dir name another one");
  }
  HFCacheInfo info;
  for (const auto& entry : fs::directory_iterator(cache_dir)) {
    const std::string name = entry.path().filename().string();
    if (name == ".locks" || name == "CACHEDIR.TAG" || is_ignored(entry.path())) continue;
    try {
      info.repos.push_back(scan_repo(entry.path()));
      info.size_on_disk += info.repos.back().size_on_disk;
    } catch (const Error& error) {
      info.warnings.emplace_back(error.what());
    } catch (const fs::filesystem_error& error) {
      info.warnings.push_back(printable(error.what()));
    }
  }
  std::sort(info.repos.begin(), info.repos.end(), [](const auto& a, const auto& b) {
    return std::tie(a.repo_type, a.repo_id) < std::tie(b.repo_type, b.repo_id);
  });
  std::sort(info.warnings.begin(), info.warnings.end());
  return info;
}

}  // namespace ferry::hub
