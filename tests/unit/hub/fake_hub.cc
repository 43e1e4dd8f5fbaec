#include "unit/hub/fake_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "hub/hash.h"
#include "hub/headers.h"
#include "hub/url.h"

namespace ferry::hub::test {

FakeReply hub_error(int status, const std::string& code, const std::string& message) {
  return {status,
          {{"X-Error-Code", code}, {"X-Error-Message", message}, {"Content-Type", "application/json"}},
          nlohmann::json{{"error", message}}.dump()};
}

FakeReply ranged(const FakeRequest& request, const std::string& content, const std::string& etag) {
  FakeReply reply{200, {{"ETag", "\"" + etag + "\""}, {"Accept-Ranges", "bytes"}}, content};
  const std::string range = request.header("range");
  const std::string condition = request.header("if-range");
  if (range.empty() || (!condition.empty() && condition != "\"" + etag + "\"")) return reply;
  const size_t first = std::stoull(range.substr(std::string("bytes=").size()));
  if (first >= content.size())
    return {416, {{"Content-Range", fmt::format("bytes */{}", content.size())}}, ""};
  reply.status = 206;
  reply.body = content.substr(first);
  reply.headers.emplace_back("Content-Range",
                             fmt::format("bytes {}-{}/{}", first, content.size() - 1, content.size()));
  return reply;
}

FakeHub::FakeHub(bool tls)
    : tls_(tls),
      cdn_("cdn", [this](const FakeRequest& request) { return answer(request); }),
      hub_(
          "hub", [this](const FakeRequest& request) { return answer(request); }, tls) {}

std::string FakeHub::endpoint() const {
  return fmt::format("{}://127.0.0.1:{}", tls_ ? "https" : "http", hub_.port());
}

std::vector<FakeRequest> FakeHub::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

size_t FakeHub::count(const std::string& method, const std::string& path_part) const {
  const auto all = requests();
  return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const FakeRequest& request) {
    return request.method == method && request.path.find(path_part) != std::string::npos;
  }));
}

std::string FakeHub::etag_of(const FakeFile& file) {
  if (file.etag) return *file.etag;
  Hasher hasher = file.lfs ? Hasher::sha256() : Hasher::git_blob(file.content.size());
  hasher.update(file.content);
  return hasher.finish();
}

FakeReply FakeHub::answer(const FakeRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  if (intercept) {
    if (auto reply = intercept(request)) return *reply;
  }
  return usual(request);
}

FakeReply FakeHub::usual(const FakeRequest& request) const {
  if (request.server == "cdn") return cdn(request);
  const bool is_api = starts_with(request.path, "/api/models/");
  const std::string rest = request.path.substr(is_api ? std::string("/api/models/").size() : 1);
  const std::string repo_id = rest.substr(0, rest.find(is_api ? "/revision/" : "/resolve/"));
  const auto repo = repos.find(repo_id);
  const bool known = request.header("authorization") == std::string("Bearer ") + kToken;
  if (repo == repos.end() || (repo->second.is_private && !known)) {
    return known ? hub_error(404, "RepoNotFound", "Repository not found")
                 : hub_error(401, "", "Invalid username or password.");
  }
  if (repo->second.gated && !is_api && !known)
    return hub_error(401, "GatedRepo", "Access to model is restricted");
  return is_api ? model_info(request) : resolve(request);
}

FakeReply FakeHub::model_info(const FakeRequest& request) const {
  const std::string rest = request.path.substr(std::string("/api/models/").size());
  const size_t at = rest.find("/revision/");
  const FakeRepo& repo = repos.at(rest.substr(0, at));
  const std::string revision = rest.substr(at + std::string("/revision/").size());
  if (revision != repo.commit && repo.refs.count(revision) == 0) {
    return hub_error(404, "RevisionNotFound", "Invalid rev id: " + revision);
  }
  nlohmann::json siblings = nlohmann::json::array();
  for (const auto& [name, file] : repo.files) {
    nlohmann::json sibling{{"rfilename", name}};
    if (repo.blobs && request.query.find("blobs") != std::string::npos) {
      sibling["size"] = file.content.size();
      sibling["blobId"] = file.lfs ? std::string(40, '0') : etag_of(file);
      if (file.lfs)
        sibling["lfs"] = {{"sha256", etag_of(file)}, {"size", file.content.size()}, {"pointerSize", 134}};
    }
    siblings.push_back(sibling);
  }
  const nlohmann::json info{{"id", rest.substr(0, at)}, {"sha", repo.commit},   {"private", repo.is_private},
                            {"gated", false},           {"siblings", siblings}, {"pipeline_tag", nullptr}};
  return {200, {{"Content-Type", "application/json; charset=utf-8"}}, info.dump()};
}

FakeReply FakeHub::resolve(const FakeRequest& request) const {
  const std::string path = request.path.substr(1);
  const size_t at = path.find("/resolve/");
  const FakeRepo& repo = repos.at(path.substr(0, at));
  const std::string rest = path.substr(at + std::string("/resolve/").size());
  const size_t slash = rest.find('/');
  const std::string revision = rest.substr(0, slash);
  if (revision != repo.commit && repo.refs.count(revision) == 0) {
    return hub_error(404, "RevisionNotFound", "Invalid rev id: " + revision);
  }
  const auto file = repo.files.find(rest.substr(slash + 1));
  if (file == repo.files.end()) {
    FakeReply reply = hub_error(404, "EntryNotFound", "Entry not found");
    reply.headers.emplace_back("X-Repo-Commit", repo.commit);
    return reply;
  }
  const std::string etag = etag_of(file->second);
  if (!file->second.lfs) {
    FakeReply reply = ranged(request, file->second.content, etag);
    reply.headers.emplace_back("X-Repo-Commit", repo.commit);
    return reply;
  }
  const std::string location = fmt::format("http://localhost:{}/{}/{}?signature=secret", cdn_.port(),
                                           path.substr(0, at), quote(file->first, true));
  return {302,
          {{"Location", location},
           {"X-Repo-Commit", repo.commit},
           {"X-Linked-Etag", "\"" + etag + "\""},
           {"X-Linked-Size", std::to_string(file->second.content.size())},
           {"ETag", "\"of-the-redirect\""}},
          "Found. Redirecting"};
}

FakeReply FakeHub::cdn(const FakeRequest& request) const {
  for (const auto& [repo_id, repo] : repos) {
    if (!starts_with(request.path, "/" + repo_id + "/")) continue;
    const auto file = repo.files.find(request.path.substr(repo_id.size() + 2));
    if (file != repo.files.end()) return ranged(request, file->second.content, "storage-" + repo.commit);
  }
  return {404, {}, ""};
}

}  // namespace ferry::hub::test
